"""What is new in the feed for each endpoint. Reads once for all that stand at the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.storage.outgoing import Endpoint
from core.storage.position import Place
from core.storage.store import Store
from core.storage.webhook import Work

# Events that are read at once.
SLICE = 500
# Deliveries of one endpoint that may be pending; while there are more, its further events wait in
# the feed.
MAX_PENDING = 5_000


@dataclass(frozen=True, slots=True)
class New:
    """What an endpoint wants of the events after its position, up to `reached`."""

    after: int
    wanted: Sequence[Place]
    reached: int


class Intake:
    """Knows how far each endpoint has been looked at in vain.

    An endpoint that wants few types would else be written to with each event that it does not want.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, int] = {}

    async def look(self, work: Sequence[Work]) -> tuple[dict[str, New], bool]:
        """Answer what is new for each endpoint, and whether there may be more. Raises Refusal."""
        self._seen = {w.endpoint.endpoint_id: self._place(w.endpoint) for w in work}
        behind = [
            w.endpoint
            for w in work
            if self._place(w.endpoint) < w.newest and w.endpoint.pending < MAX_PENDING
        ]
        slices: dict[int, list[Place]] = {}
        new: dict[str, New] = {}
        for endpoint in behind:
            after = self._place(endpoint)
            if after not in slices:
                slices[after] = await self._store.positions.places(after, SLICE)
            events = slices[after]
            if not events:
                continue
            wanted = [one for one in events if not endpoint.wants or one.type in endpoint.wants]
            reached = events[-1].position
            if wanted or reached - endpoint.position >= SLICE:
                new[endpoint.endpoint_id] = New(endpoint.position, wanted, reached)
            else:
                self._seen[endpoint.endpoint_id] = reached
        return new, any(len(events) == SLICE for events in slices.values())

    def _place(self, endpoint: Endpoint) -> int:
        return max(endpoint.position, self._seen.get(endpoint.endpoint_id, 0))
