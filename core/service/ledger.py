"""LedgerService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import ledger_service_pb2 as rpc
from escrow.v1 import ledger_service_pb2_grpc as service

from core.books.audit import Auditor, Result
from core.errors import Reason, Refusal
from core.law.record import timestamp
from core.service import check
from core.service.check import Check
from core.service.escrow import visible
from core.service.guard import caller
from core.storage.row import PostingRow
from core.storage.store import Store

# Lines in one page of ListEntries: where the call names no size, and at most.
DEFAULT_PAGE, MAX_PAGE = 100, 500
# Characters of an account's name.
MAX_ACCOUNT = 160


class LedgerService(service.LedgerServiceServicer):
    """The books over gRPC."""

    def __init__(self, store: Store, auditor: Auditor) -> None:
        self._store = store
        self._auditor = auditor

    async def ListEntries(
        self, request: rpc.ListEntriesRequest, context: Any
    ) -> rpc.ListEntriesResponse:
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_PAGE, default=DEFAULT_PAGE
        )
        check_.text("account", request.account, most=MAX_ACCOUNT)
        if not request.escrow_id and not request.account:
            check_.problem("account", "must be given where escrow_id is not")
        check_.done()
        if request.escrow_id:
            await visible(self._store, request.escrow_id, caller())
        else:
            _require_keeper()
        key = f"{request.escrow_id}:{request.account}"
        rows = await self._store.ledger.entries(
            escrow_id=request.escrow_id,
            account=request.account,
            after=_read_page(request.page_token, key),
            limit=size + 1,
        )
        token = _page(rows[size - 1], key) if len(rows) > size else ""
        return rpc.ListEntriesResponse(
            entries=[_entry(row) for row in rows[:size]], next_page_token=token
        )

    async def GetBalance(
        self, request: rpc.GetBalanceRequest, context: Any
    ) -> rpc.GetBalanceResponse:
        _require_keeper()
        check_ = Check()
        check_.text("account", request.account, least=1, most=MAX_ACCOUNT)
        check_.done()
        balances = await self._store.ledger.balance(request.account)
        return rpc.GetBalanceResponse(
            balances=[pb.Money(currency=c, amount_minor=amount) for c, amount in balances]
        )

    async def CheckBooks(
        self, request: rpc.CheckBooksRequest, context: Any
    ) -> rpc.CheckBooksResponse:
        _require_keeper()
        if request.escrow_id:
            await visible(self._store, request.escrow_id, caller())
        result = await self._auditor.check(
            escrow_id=request.escrow_id, with_razorpay=request.with_razorpay
        )
        return rpc.CheckBooksResponse(
            balanced=not result.findings,
            escrows_checked=result.escrows_checked,
            findings=_findings(result),
        )

    async def GetLastCheck(
        self, request: rpc.GetLastCheckRequest, context: Any
    ) -> rpc.GetLastCheckResponse:
        _require_keeper()
        last = self._auditor.last
        if last is None:
            return rpc.GetLastCheckResponse()
        return rpc.GetLastCheckResponse(
            check_time=timestamp(last.check_time_us),
            escrows_checked=last.escrows_checked,
            findings=_findings(last),
        )


def _require_keeper() -> None:
    if caller().roles.isdisjoint({"admin", "service"}):
        raise Refusal(Reason.ROLE_MISSING, "The books are for the roles admin and service.")


def _findings(result: Result) -> list[rpc.Finding]:
    return [
        rpc.Finding(escrow_id=f.escrow_id, check=f.check, message=f.message)
        for f in result.findings
    ]


def _entry(row: PostingRow) -> rpc.Entry:
    return rpc.Entry(
        escrow_id=row.escrow_id,
        version=row.version,
        position=row.position,
        account=row.account,
        amount=pb.Money(amount_minor=row.amount_minor, currency=row.currency),
        create_time=timestamp(row.create_time_us),
    )


def _page(row: PostingRow, key: str) -> str:
    return check.page_token([row.create_time_us, row.escrow_id, row.version, row.position], key)


def _read_page(token: str, key: str) -> tuple[int, str, int, int] | None:
    given = check.read_page_token(token, key, [int, str, int, int])
    return None if given is None else (given[0], given[1], given[2], given[3])
