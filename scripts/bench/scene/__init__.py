"""The lines, grouped by what they share: a stack, a crowd of sockets, a database."""
