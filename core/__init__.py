"""The gRPC service: all law, money and storage. `python -m core` serves it; `server` wires it."""
