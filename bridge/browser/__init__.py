"""The WebSocket server: a session for each connection, with its subscriptions and its outbox.

Must never block the loop for one socket, nor queue more for a socket than its limits allow. Every
connection enters by `hub`.
"""
