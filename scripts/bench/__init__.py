"""Measures Holdfast from outside: `python -m scripts.bench`, which `make bench` calls.

It knows what CONTRACT promises, and nothing of core or bridge but that: gRPC, WebSocket, HTTP, the
settings. Only `bulk` knows how a row and its hash are written.
"""
