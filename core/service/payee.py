"""The payees of PaymentService: where a seller is paid, and the wait before a change counts."""

from __future__ import annotations

from collections.abc import Callable

from escrow.v1 import payment_service_pb2 as rpc

from core.errors import Reason, Refusal, request_id_reused
from core.law import payee as law
from core.law.command import Caller
from core.law.message import US_PER_S, timestamp
from core.law.payee import Payee
from core.service import check
from core.service.check import Check
from core.service.guard import caller, require_keeper
from core.storage.row import PayeeRow
from core.storage.store import Store
from core.storage.trip import owed
from core.storage.trip import payee as payees
from core.storage.trip.step import Steps

# How often a change is tried that another one of the same payee overtook.
MAX_TRIES = 3
# Events in one page of ListPayeeEvents: where the call names no size, and at most.
DEFAULT_EVENTS, MAX_EVENTS = 100, 500
# Payees in one page of ListPayees: where the call names no size, and at most.
DEFAULT_PAYEES, MAX_PAYEES = 50, 200

Change = Callable[[Payee | None, Caller, int, int], Payee | None]
"""What a call makes of a payee, given who calls, when, and how long a change waits.

None where it changes nothing.
"""
Given = rpc.RegisterPayeeRequest | rpc.CancelPayeeChangeRequest | rpc.WaivePayeeWaitRequest


class Payees:
    """Reads and changes where sellers are paid."""

    def __init__(
        self,
        store: Store,
        *,
        now_us: Callable[[], int],
        cooling_s: int,
        ring_settlement: Callable[[], None],
    ) -> None:
        self._store = store
        self._now_us = now_us
        self._wait_us = cooling_s * US_PER_S
        self._ring_settlement = ring_settlement

    async def register(self, request: rpc.RegisterPayeeRequest) -> rpc.Payee:
        check_ = Check()
        account_id = check_.account_id("account_id", request.account_id)
        user_id = self._checked(check_, request)

        def change(before: Payee | None, who: Caller, now_us: int, wait_us: int) -> Payee | None:
            return law.register(before, user_id, account_id, who.user_id, now_us, wait_us)

        return await self._change(request, user_id, change)

    async def call_off(self, request: rpc.CancelPayeeChangeRequest) -> rpc.Payee:
        user_id = self._checked(Check(), request)

        def change(before: Payee | None, who: Caller, now_us: int, _: int) -> Payee:
            return law.call_off(before, who.user_id, now_us)

        return await self._change(request, user_id, change)

    async def waive(self, request: rpc.WaivePayeeWaitRequest) -> rpc.Payee:
        if "admin" not in caller().roles:
            raise Refusal(Reason.ROLE_MISSING, "Only an administrator can waive the wait.")
        check_ = Check()
        check_.text("note", request.note, least=1, most=check.MAX_NOTE)
        account_id = request.account_id
        if account_id:
            check_.account_id("account_id", account_id)
        user_id = self._checked(check_, request)

        def change(before: Payee | None, who: Caller, now_us: int, _: int) -> Payee:
            return law.waive(before, who.user_id, request.note, now_us, account_id)

        return await self._change(request, user_id, change)

    async def read(self, request: rpc.GetPayeeRequest) -> rpc.Payee:
        user_id = _own(request.user_id)
        payee = await self._store.payee(user_id)
        if payee is None:
            raise Refusal(Reason.PAYEE_NOT_FOUND, "This user has no linked account registered.")
        return _message(payee)

    async def list(self, request: rpc.ListPayeesRequest) -> rpc.ListPayeesResponse:
        require_keeper("ListPayees is")
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_PAYEES, default=DEFAULT_PAYEES
        )
        check_.done()
        key = f"waiting:{request.waiting}"
        given = check.read_page_token(request.page_token, key, [str])
        found = await self._store.payees(
            after=given[0] if given else "", waiting=request.waiting, limit=size + 1
        )
        page = found[:size]
        token = check.page_token([page[-1].user_id], key) if len(found) > size else ""
        return rpc.ListPayeesResponse(payees=[_message(one) for one in page], next_page_token=token)

    async def events(self, request: rpc.ListPayeeEventsRequest) -> rpc.ListPayeeEventsResponse:
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_EVENTS, default=DEFAULT_EVENTS
        )
        after = check_.range("after_version", request.after_version, least=0, most=2**31 - 1)
        check_.done()
        user_id = _own(request.user_id)
        events = await self._store.payee_events(user_id, after, size + 1)
        return rpc.ListPayeeEventsResponse(
            events=[_event(one) for one in events[:size]], has_more=len(events) > size
        )

    def _checked(self, check_: Check, request: Given) -> str:
        check_.request_id(request.request_id)
        user_id = check_.user_id("user_id", request.user_id)
        check_.done()
        _require_self(user_id)
        return user_id

    async def _change(self, request: Given, user_id: str, change: Change) -> rpc.Payee:
        for _ in range(MAX_TRIES):
            who, now_us = caller(), self._now_us()
            payee = await self._store.transact(self._changed(request, user_id, change, who, now_us))
            if payee is not None:
                self._ring_settlement()
                return _message(payee)
        raise Refusal(Reason.OVERLOADED, "This payee is being changed; try again.")

    def _changed(
        self, request: Given, user_id: str, change: Change, who: Caller, now_us: int
    ) -> Steps[Payee | None]:
        """Answer the payee after the change, or None where another call was faster."""
        cause, fingerprint = check.cause(who, request.request_id), check.fingerprint(request)
        yield from payees.lock(user_id)
        known = yield from payees.by_cause(cause)
        if known is not None:
            _require_same(known, fingerprint)
            return known.payee
        before = yield from payees.latest(user_id)
        # An account that Razorpay refuses and has never paid is replaced at once: nothing could be
        # taken away with it, and the money waits for a good one.
        is_useless = before is not None and (
            yield from payees.has_only_been_refused(user_id, before.account_id)
        )
        after = change(before, who, now_us, 0 if is_useless else self._wait_us)
        # Whoever names an account again wants what waits for it to be tried again.
        yield from owed.make_due(now_us=now_us, seller_id=user_id)
        if after is None:
            assert before is not None, "the first account is always news"
            if not request.request_id:
                return before
            # Or a late repeat of this call could undo what was changed since.
            after = law.name_again(before, who.user_id, now_us)
        is_added = yield from payees.add(PayeeRow(after, cause, fingerprint))
        return after if is_added else None


def _require_same(known: PayeeRow, fingerprint: bytes) -> None:
    if known.fingerprint != fingerprint:
        raise request_id_reused()


def _own(given: str) -> str:
    check_ = Check()
    user_id = check_.user_id("user_id", given)
    check_.done()
    _require_self(user_id)
    return user_id


def _require_self(user_id: str) -> None:
    who = caller()
    if who.user_id != user_id and who.roles.isdisjoint({"service", "admin"}):
        raise Refusal(Reason.NOT_A_PARTY, "A payee is for that user, or the role service or admin.")


def _message(payee: Payee) -> rpc.Payee:
    pending_us = payee.pending_us
    return rpc.Payee(
        user_id=payee.user_id,
        account_id=payee.account_id,
        update_time=timestamp(payee.create_time_us),
        effective_time=timestamp(payee.effective_us),
        pending_account_id=payee.pending_account_id,
        pending_time=None if pending_us is None else timestamp(pending_us),
    )


def _event(payee: Payee) -> rpc.PayeeEvent:
    return rpc.PayeeEvent(
        version=payee.version,
        type=rpc.PayeeEventType.Value(f"PAYEE_EVENT_TYPE_{payee.type}"),
        create_time=timestamp(payee.create_time_us),
        actor_id=payee.actor_id,
        payee=_message(payee),
        note=payee.note,
    )
