"""Benchmarks; each prints one JSON document (`python -m bench.<name>`)."""
