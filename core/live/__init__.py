"""Watching: hands every new event to whoever watches an escrow, or all escrows of a user.

The table is the truth and a bell only a hint. Must never write. Its doors are `feed` (one escrow),
`bundle` and `watched` (many escrows on one stream), `follow` (a user's escrows) and `bell` (news of
other processes).
"""
