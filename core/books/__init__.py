"""Keeps the balances, and checks that record, ledger and the payment provider agree.

Must never repair anything by itself: a finding is for a person. Its doors are `audit`, the check of
the books, `recon`, which holds the provider's settlement reports against them, and `fold`, which
keeps the balances.
"""
