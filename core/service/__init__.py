"""gRPC messages to commands and back: one room for each service. No law, no storage of its own."""
