"""A question to core: may this user see that escrow, and what happens there?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escrow.v1 import escrow_service_pb2 as service

from bridge.upstream.error import CoreError
from bridge.upstream.watched import Watched
from holdfast.tokens import Identity

if TYPE_CHECKING:
    from bridge.upstream.line import Line


@dataclass(eq=False, slots=True)
class Ask:
    """Whether this user may see an escrow. With `watch`, its events are asked for as well."""

    identity: Identity
    escrow_id: str
    at_s: float
    # Becomes the escrow's version; none where a watch is only opened again.
    answer: asyncio.Future[int] | None = None
    watch: Watched | None = None
    after: int | None = None
    is_known: bool = False
    # Where it was asked, and its number there.
    line: Line | None = None
    number: int = 0
    is_over: bool = False

    def write(self, new: service.NewWatch) -> None:
        new.watch_id, new.escrow_id = self.number, self.escrow_id
        new.known, new.once = self.is_known, self.watch is None
        if self.after is not None:
            new.after_version = self.after

    def fail(self, error: CoreError) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)
