"""Every size, wait and rate of the bridge, named once; CONTRACT figures are the defaults.

Frozen: `server.create_app` takes one, so that a test may shorten a wait without changing a rule.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Units are the last word of each name: seconds, bytes, or a count."""

    # What a browser may send.
    frame_bytes: int = 64 * 1024
    frames_per_s: float = 20.0
    frames_burst: int = 40
    # Who was closed for sending more waits so long for the next handshake.
    flood_wait_s: float = 3.0
    subscriptions: int = 200
    sockets_per_user: int = 20
    sockets: int = 20_000
    # Of these, so many who are turned away may take their time to answer the close frame.
    leaving: int = 2_000

    # What may wait for a browser to read it.
    outbox_frames: int = 256
    outbox_bytes: int = 1024 * 1024
    # The most that is handed to the kernel at once, and so the most that waits beside the outbox.
    write_bytes: int = 64 * 1024
    # How often a socket that takes nothing is looked at again.
    stall_s: float = 0.02
    # How long the loop may be held by a fan-out or a flush before others get their turn.
    slice_s: float = 0.0015

    # The life of a connection.
    ping_interval_s: float = 25.0
    ping_silence_s: float = 10.0
    token_notice_s: float = 30.0
    # The sweeper looks at every socket this often.
    tick_s: float = 0.5
    # How long a peer may take to answer a close frame.
    close_s: float = 10.0

    # Core.
    core_wait_s: float = 5.0
    catch_up_events: int = 100
    backoff_first_s: float = 0.05
    backoff_last_s: float = 2.0
    # Watches that resume at the same moment spread themselves at this rate.
    resumes_per_s: float = 1000.0
    resume_spread_s: float = 2.0
    # Core's heartbeat comes every 15 s; a stream that misses three is dead.
    watch_silence_s: float = 45.0
    watches: int = 50_000
    history_events: int = 64
    # Users whose escrows are all followed. Of each user so many open escrows are told, and so many
    # of all are compared after core was away, the newest: of an older and final one an event may
    # then be missed.
    follows: int = 20_000
    user_escrows: int = 10_000
    # Users whose escrows are compared at the same time.
    comparisons: int = 16
    # Core's most for a page of ListEscrows.
    list_page: int = 200
    # Events that are kept encoded, for the streams of all who are concerned.
    encoded_events: int = 256
    # A watch outlives its last subscriber by so much: a page that reloads finds it again.
    linger_s: float = 3.0
    health_s: float = 1.0
    books_s: float = 1.0

    # HTTP.
    webhook_bytes: int = 1024 * 1024
    # Razorpay gives up after five seconds.
    webhook_s: float = 4.5
    webhooks: int = 512
    # Calls of the JSON API under way.
    calls: int = 2_048
    demo_token_s: int = 12 * 3600

    # Shutdown.
    drain_notice_s: float = 0.5
    drain_close_s: float = 3.0
    reconnect_slots_s: float = 5.0
