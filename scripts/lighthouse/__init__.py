"""Lighthouse, against the running stack or one of its own: `make lighthouse`."""
