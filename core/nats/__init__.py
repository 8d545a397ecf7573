"""NATS, where NATS_URL is set: bells between cores, and every event for other people's systems.

Its door is `exchange`, which has the one connection of this process and its users. Decides nothing.
Must never be needed: while NATS is away bells are missed, which costs time, and events wait in the
database.
"""
