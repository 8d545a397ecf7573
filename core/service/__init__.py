"""The gRPC services: one file each, and what every call passes on its way in and out.

Checks what is asked and by whom, and leaves every decision to the law. The only wing that knows
gRPC. Nothing but `server` imports it.
"""
