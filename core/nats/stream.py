"""The stream of all events on JetStream: an event's sequence there is its position here.

So the stream itself says how far it is, and the guard on each message (expected last sequence)
lets nobody put an event there out of order or twice, whoever believes to be the publisher. Must
never be written to by anybody else.
"""

from __future__ import annotations

from collections.abc import Sequence

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from core.nats.line import ANSWER_S
from core.nats.subject import EVENTS, event_subject
from core.storage.position import Placed

NAME = "HOLDFAST"
# JetStream forgets a message id after so long; the guard holds for ever.
DUPLICATES_S = 120.0
# The code of JetStream for a guard that has held.
WRONG_LAST_SEQUENCE = 10071
POSITION, VERSION, TYPE = "Holdfast-Position", "Holdfast-Version", "Holdfast-Type"


class Overtaken(Exception):
    """Somebody else has published meanwhile: ask the stream how far it is."""


class Foreign(Exception):
    """The stream is not one of this database; a person has to look."""


class Stream:
    """The stream, through one connection. All raise what nats-py raises, and TimeoutError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context: JetStreamContext = client.jetstream(timeout=ANSWER_S)

    async def open(self) -> int:
        """Make the stream if there is none; answer the position of its last event, 0 for none.

        One that is there is taken as it is, with the limits that somebody has given it.
        """
        try:
            info = await self._context.stream_info(NAME)
        except NotFoundError:
            info = await self._make()
        if f"{EVENTS}.>" not in (info.config.subjects or []):
            raise Foreign(f"the stream {NAME} does not take the subjects {EVENTS}.>")
        return int(info.state.last_seq)

    async def _make(self) -> StreamInfo:
        return await self._context.add_stream(
            StreamConfig(
                name=NAME,
                description="every event of Holdfast; a message's sequence is the event's position",
                subjects=[f"{EVENTS}.>"],
                duplicate_window=DUPLICATES_S,
                allow_direct=True,
            )
        )

    async def event(self, position: int) -> bytes | None:
        """Read what stands at a position; None where the stream has let go of it."""
        try:
            message = await self._context.get_msg(NAME, seq=position)
        except NotFoundError:
            return None
        return message.data or b""

    async def append(self, events: Sequence[Placed]) -> None:
        """Append events, the first of which comes right after what is there.

        Returns when the last is stored, and so all are: each is taken only right after the one
        before it. Raises Overtaken.
        """
        *most, last = events
        for one in most:
            await self._client.publish(
                event_subject(one.escrow_id), one.body, headers=_headers(one)
            )
        try:
            told = await self._context.publish(
                event_subject(last.escrow_id), last.body, headers=_headers(last)
            )
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                raise Overtaken from None
            raise
        except NoStreamResponseError:
            raise Overtaken from None
        if told.seq != last.position:
            raise Foreign(f"it has event {last.position} as its message {told.seq}")


def _headers(event: Placed) -> dict[str, str]:
    position = str(event.position)
    return {
        "Nats-Msg-Id": position,
        "Nats-Expected-Stream": NAME,
        "Nats-Expected-Last-Sequence": str(event.position - 1),
        POSITION: position,
        VERSION: str(event.version),
        TYPE: event.type,
    }
