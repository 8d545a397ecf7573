"""The way to core: channels, calls, and the streams that all sockets share.

The only wing that knows gRPC. Must never know a browser. Its doors are `core` (calls), `watch` (one
escrow) and `follow` (all escrows of a user); both streams raise `channel.CoreError`.
"""
