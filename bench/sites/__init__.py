"""What the benchmarks run: real services on fresh databases, and the load on them."""
