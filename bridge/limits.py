"""Every size, wait and rate of the bridge, each with a name and its default.

`server.create_app` takes a `Limits`, so that a test can shorten a wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """Units are the last word of each name: seconds, bytes, or a count.

    The comment above a field is what docs/reference/limits.md says of it (`make reference`).
    """

    # What a browser may send.

    # One frame; a longer one closes the connection with 1009.
    frame_bytes: int = 64 * 1024
    # Frames of one connection in the long run; more close it with 4429.
    frames_per_s: float = 20.0
    # Frames that may come at once before that rate counts.
    frames_burst: int = 40
    # How long a user who was closed for sending more waits for the next handshake.
    flood_wait_s: float = 3.0
    # Subscriptions of one connection.
    subscriptions: int = 200
    # Connections of one user; one more is closed with 4409.
    sockets_per_user: int = 20
    # Connections of this process; one more gets 503.
    sockets: int = 20_000
    # Connections among them that are turned away and have `close_s` to answer the close frame; one
    # more is cut at once.
    leaving: int = 2_000

    # The port.

    # Connections of all kinds. If the process may have fewer file descriptors, it serves fewer
    # connections and sockets, and says so in the log at its start.
    connections: int = 24_000
    # File descriptors that are kept for everything except connections.
    descriptors_kept: int = 256
    # Connections of one address (of IPv6: one /64) that have not yet sent a whole head, at most
    # half of all; one more cuts the oldest of them.
    heads_per_address: int = 4_096
    # How long the head of a request may take, from the connection or its first byte on.
    head_s: float = 10.0
    # How long a connection may be idle between two requests; a proxy should give up first.
    idle_s: float = 75.0
    # How long the body of a call may take; later it gets 408.
    body_s: float = 10.0
    # How long the body of a webhook may take: Razorpay gives up after five seconds.
    webhook_body_s: float = 5.0
    # Bodies of one user's calls that are being received; one more gets 429.
    bodies_per_user: int = 64
    # Bytes of all bodies together that are being received; beyond it the oldest body gets 408.
    bodies_bytes: int = 64 * 1024 * 1024
    # How long the rest of a refused body is read and ignored.
    rest_s: float = 2.0
    # How long a peer may take to read an answer.
    answer_s: float = 120.0
    # Connections that are accepted in one turn of the loop.
    accepts: int = 64
    # How long nothing is accepted when descriptors have run out.
    accept_pause_s: float = 0.1

    # What may wait for a browser to read it.

    # Frames that wait; one more closes the connection with 4408.
    outbox_frames: int = 256
    # Bytes that wait, with the same end.
    outbox_bytes: int = 1024 * 1024
    # Bytes that are passed to the kernel at once, and so the most that waits outside the outbox.
    write_bytes: int = 64 * 1024
    # How long a fan-out or a flush may hold the event loop before other tasks get their turn.
    slice_s: float = 0.0015

    # How long frames to many sockets may wait for more of the same burst, to leave in one write.
    gather_s: float = 0.002
    # A burst counts as over when so many turns of the loop have brought nothing more of it.
    quiet_turns: int = 2
    # A fan-out or a flush looks at the clock once for so many sockets.
    at_once: int = 16

    # The life of a connection.

    # How often a connection is pinged.
    ping_interval_s: float = 25.0
    # How long a pinged connection may be silent before it is dropped.
    ping_silence_s: float = 10.0
    # How long before its expiry a token is announced to expire (TOKEN_EXPIRING).
    token_notice_s: float = 30.0
    # How much later than its time a ping or a close may come: one timer serves all sockets.
    tick_s: float = 0.5
    # How long a peer may take to answer a close frame.
    close_s: float = 10.0

    # Core.

    # How long a call of a socket waits for core.
    core_wait_s: float = 5.0
    # How long a call to read an escrow may take when core is busy.
    core_busy_s: float = 30.0
    # Calls to read an escrow that are made for users at the same time; more wait in turn.
    core_calls: int = 64
    # How soon the stream of revoked tokens is opened again after its end.
    revocations_retry_s: float = 0.2
    # How often the bridge checks whether core answers and accepts its token.
    standing_every_s: float = 1.0
    # How long core may take to say that it serves before it counts as away.
    standing_s: float = 3.0
    # How long a socket may be behind core before it is told so: a stream that moves is back sooner.
    behind_s: float = 1.0
    # How often a socket that is not live is looked at while core serves.
    compared_every_s: float = 0.2
    # Events that are read at once to catch up.
    catch_up_events: int = 100
    # The first pause before a stream that failed is opened again; it doubles.
    backoff_first_s: float = 0.05
    # The longest such pause.
    backoff_last_s: float = 2.0
    # The rate at which streams resume that were broken at the same moment.
    resumes_per_s: float = 1000.0
    # The longest time over which their resumption is spread.
    resume_spread_s: float = 2.0
    # Streams that leave a core with more than its share at each check, for one that came back.
    moves: int = 200
    # How long a stream may be silent: core's heartbeat comes every 15 s, and three may be missed.
    watch_silence_s: float = 45.0
    # Watches that core was asked to open and has not answered; more wait, one user after another.
    asks: int = 256
    # How long after one request on the stream of watches the next is sent at the earliest.
    ask_pause_s: float = 0.005
    # Subscribers of an escrow that are told of an event before the stream goes on; more are told
    # meanwhile.
    inline_subscribers: int = 32
    # Escrows that are watched, all on one upstream stream.
    watches: int = 50_000
    # Events of a watched escrow that are kept, so that a late subscriber joins without a gap; and
    # events that wait for a socket that is about to join `*`.
    history_events: int = 64
    # Users who are subscribed to `*`, one upstream stream each.
    follows: int = 20_000
    # Open escrows of one user whose snapshots are sent for `*`, the newest first.
    user_escrows: int = 10_000
    # Users whose snapshots are read at the same time.
    snapshot_reads: int = 16
    # Encoded events that are kept, because several streams deliver the same event.
    encoded_events: int = 256
    # How long a stream stays open after its last subscriber, so that a reloaded page finds it.
    linger_s: float = 3.0
    # How long core may take to answer whether it serves.
    health_s: float = 1.0
    # How long core may take to answer the result of its last check of the books.
    books_s: float = 1.0

    # HTTP.

    # The body of a webhook.
    webhook_bytes: int = 1024 * 1024
    # How long core may take for a webhook; Razorpay gives up after five seconds.
    webhook_s: float = 4.5
    # Webhooks under way, from their body on; one more gets 503.
    webhooks: int = 512
    # Calls of the JSON API under way, from their body on; one more gets 503.
    calls: int = 2_048
    # Calls of one user among them; one more gets 429.
    calls_per_user: int = 512
    # Large bodies of calls that wait to be transcoded, one after another; one more gets 503.
    large_bodies: int = 32
    # Those of one user among them; one more gets 429.
    large_bodies_per_user: int = 4
    # The file of a dispute.
    attachment_bytes: int = 10 * 1024 * 1024
    # How long a file may take to come, or to be read.
    attachment_s: float = 300.0
    # How long its next bytes may take.
    attachment_chunk_s: float = 30.0
    # Files that are coming or being read; one more gets 503.
    attachments: int = 256
    # Those of one user among them; one more gets 429.
    attachments_per_user: int = 32
    # How long a token of the demo login is valid.
    demo_token_s: int = 12 * 3600

    # Shutdown.

    # How long `/readyz` fails before the sockets are told to reconnect.
    drain_notice_s: float = 0.5
    # How long they may take to close before they are cut.
    drain_close_s: float = 3.0
    # The time over which they reconnect, each in a slot of its own.
    reconnect_slots_s: float = 5.0

    def within(self, descriptors: int) -> Limits:
        """Answer limits that so many file descriptors allow: `connections` and `sockets` shrink in
        proportion."""
        connections = max(1, descriptors - self.descriptors_kept)
        if connections >= self.connections:
            return self
        sockets = max(1, self.sockets * connections // self.connections)
        return replace(self, connections=connections, sockets=sockets)
