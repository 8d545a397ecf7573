"""The law of an escrow: what is allowed, what it makes, what it costs, how it is written down.

Pure: must never do I/O, read a clock, draw a random number, or know a database, gRPC or a payment
provider. Its door is `rules.decide`; the nouns that it takes and gives are in `escrow`, `command`,
`money`, `ledger` and `record`.
"""
