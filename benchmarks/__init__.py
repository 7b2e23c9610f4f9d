"""Measurements; how to run them is in docs/benchmarks.md. None is part of the package."""
