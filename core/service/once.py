"""Calls about webhooks, each done once for its request id: a repeat gets the first answer again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from core.errors import request_id_reused
from core.service import check
from core.service.guard import caller
from core.storage.outgoing import Call
from core.storage.store import Store
from core.storage.transaction import Transaction

Answer = TypeVar("Answer", bound=Message)
Done = tuple[str, Answer, str]
"""What a call has done: the endpoint's id, the answer, and the secret that belongs into it."""


class _Overtaken(Exception):
    """The same call was made twice at once, and the other one was faster."""


class Once:
    """Remembers what calls have answered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recalled(self, request: Any, kind: type[Answer]) -> Answer | None:
        """Answer what a call with this request id has answered before.

        Raises Refusal REQUEST_ID_REUSED.
        """
        if not request.request_id:
            return None
        known = await self._store.webhooks.known(check.cause(caller(), request.request_id))
        if known is None:
            return None
        if known.fingerprint != check.fingerprint(request):
            raise request_id_reused()
        return _with_secret(kind.FromString(known.answer), known.secret)

    async def done(
        self,
        request: Any,
        act: Callable[[Transaction], Awaitable[Done[Answer]]],
        kind: type[Answer],
    ) -> Answer:
        """Do what a call asks for, unless it was done before, and remember what it answers."""
        known = await self.recalled(request, kind)
        if known is not None:
            return known
        cause, fingerprint = check.cause(caller(), request.request_id), check.fingerprint(request)
        try:
            async with self._store.write() as transaction:
                endpoint_id, answer, secret = await act(transaction)
                call = Call(cause, fingerprint, endpoint_id, answer.SerializeToString(), secret)
                if request.request_id and not await transaction.webhooks.remember(call):
                    raise _Overtaken
        except _Overtaken:
            known = await self.recalled(request, kind)
            assert known is not None, "whoever was faster has committed"
            return known
        return _with_secret(answer, secret)


def _with_secret(answer: Answer, secret: str) -> Answer:
    if secret:
        answer.secret = secret  # type: ignore[attr-defined]
    return answer
