"""What core and bridge share beside the proto: tokens, settings and the log.

A leaf: it imports nothing of core, bridge or scripts, and of generated code only `escrow`.
"""
