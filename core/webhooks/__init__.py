"""Webhooks out: every event, sent to the addresses that asked for it, at least once and in order.

Must never follow a redirect, connect to an address that it has not judged, or let one endpoint
delay another. It changes no escrow. Its doors are `dispatch` and `prune`, loops that `server` runs,
and for services `address` and `signature`.
"""
