"""Makes SQLite databases with very many escrows, quicker than any number of calls could.

`story` has a real core write one escrow by real calls. `mould` reads its rows and finds the ids in
them. `write` writes as many copies as are wanted, each with ids and users of its own and with its
hashes computed anew, so that each is a true record: CheckBooks finds nothing wrong with it.
"""
