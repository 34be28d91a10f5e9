"""What the benchmarks compare with: other ways to do the same, written for the purpose."""
