"""The client of core: channels, calls, and the streams that all sockets share.

The only wing that knows gRPC. Must never know a browser. Other wings import `core` (calls), `watch`
(the stream of one escrow), `follow` (the stream of one user's escrows) and `error` (CoreError,
which all of them raise).
"""
