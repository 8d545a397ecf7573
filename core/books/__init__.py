"""Keeps the balances, and checks that record, ledger and the payment provider agree.

Must never repair anything: a finding is for a person. Its doors are `audit`, the check of the
books, and `recon`, which holds the provider's settlement reports against them.
"""
