"""The check that the record, the ledger and the payment provider agree.

Must never repair anything: a finding is for a person. Its door is `audit`.
"""
