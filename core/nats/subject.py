"""The subjects: where bells and events go on NATS. Pure."""

from __future__ import annotations

from urllib.parse import quote

from core.live.need import Kind

# Bells are plain messages, which nobody keeps.
BELLS = "holdfast.bell"
# Events are kept by JetStream.
EVENTS = "holdfast.event"


def bell_subject(kind: Kind, name: str) -> str:
    """Where the bells of an escrow, of a user or of everything are rung."""
    return f"{BELLS}.{kind}.{_token(name)}" if name else f"{BELLS}.{kind}"


def event_subject(escrow_id: str) -> str:
    """Where the events of an escrow are published."""
    return f"{EVENTS}.{_token(escrow_id)}"


def _token(name: str) -> str:
    """The name as one token: user ids may hold dots, blanks and NATS's wildcards."""
    return quote(name, safe="").replace(".", "%2E")
