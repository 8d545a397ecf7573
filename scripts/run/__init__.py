"""Starts Holdfast on one machine: `python -m scripts.run`, which `make run` calls."""
