"""Money at Razorpay and back: does what escrows want there, and turns what it says into commands.

The only wing that calls `core.razorpay`. Must never change an escrow but through `core.execute`.
Its doors are `settle`, `reconcile` and `deadline` (loops that `server` runs), and for services
`checkout`, `webhook` and `compare`.
"""
