"""The feed: gives events their positions, and hands them on in that order.

The table is the truth and a bell only a hint. Its doors are `sequence`, which gives positions, and
`tail`, which follows them.
"""
