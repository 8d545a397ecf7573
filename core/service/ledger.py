"""LedgerService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import ledger_service_pb2 as rpc
from escrow.v1 import ledger_service_pb2_grpc as service

from core.books.audit import Auditor
from core.books.recon import Recon
from core.law.message import timestamp
from core.service import check
from core.service.check import Check
from core.service.escrow import visible
from core.service.guard import caller, is_keeper, require_keeper
from core.settlement.compare import Finding
from core.storage.row import AuditRow, PostingRow
from core.storage.store import Store

# Lines in one page of ListEntries: where the call names no size, and at most.
DEFAULT_PAGE, MAX_PAGE = 100, 500
# Escrows in one page of CheckBooks.
MAX_BOOKS = 200
# Characters of an account's name.
MAX_ACCOUNT = 160
# Characters of an id of Razorpay's.
MAX_ENTITY = 64


class LedgerService(service.LedgerServiceServicer):
    """The books over gRPC."""

    def __init__(self, store: Store, auditor: Auditor, recon: Recon) -> None:
        self._store = store
        self._auditor = auditor
        self._recon = recon

    async def ListEntries(
        self, request: rpc.ListEntriesRequest, context: Any
    ) -> rpc.ListEntriesResponse:
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_PAGE, default=DEFAULT_PAGE
        )
        check_.text("account", request.account, most=MAX_ACCOUNT)
        check_.text("entity_id", request.entity_id, most=MAX_ENTITY)
        check_.text("settlement_id", request.settlement_id, most=MAX_ENTITY)
        which = {
            name: getattr(request, name)
            for name in ("escrow_id", "account", "entity_id", "settlement_id")
        }
        if not any(which.values()):
            check_.problem("account", "must be given where no other filter is")
        check_.done()
        if request.escrow_id:
            await visible(self._store, request.escrow_id, caller())
        if not request.escrow_id or request.entity_id or request.settlement_id:
            require_keeper("The books are")
        key = ":".join(which.values())
        rows = await self._store.ledger.entries(
            **which,
            after=_read_page(request.page_token, key),
            limit=size + 1,
        )
        token = _page(rows[size - 1], key) if len(rows) > size else ""
        return rpc.ListEntriesResponse(
            entries=[_entry(row, is_keeper()) for row in rows[:size]], next_page_token=token
        )

    async def GetBalance(
        self, request: rpc.GetBalanceRequest, context: Any
    ) -> rpc.GetBalanceResponse:
        require_keeper("The books are")
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
        require_keeper("The books are")
        check_ = Check()
        size = check_.range("page_size", request.page_size, least=0, most=MAX_BOOKS)
        if size and request.escrow_id:
            check_.problem("page_size", "goes without escrow_id")
        check_.done()
        key = f"razorpay:{request.with_razorpay}"
        given = check.read_page_token(request.page_token, key, [str])
        if request.escrow_id:
            await visible(self._store, request.escrow_id, caller())
        next_id = ""
        if size:
            result, next_id = await self._auditor.check_some(
                after_id=given[0] if given else "",
                limit=size,
                with_razorpay=request.with_razorpay,
            )
        else:
            result = await self._auditor.check(
                escrow_id=request.escrow_id, with_razorpay=request.with_razorpay
            )
        return rpc.CheckBooksResponse(
            balanced=not result.findings,
            escrows_checked=result.escrows_checked,
            findings=_findings(result.findings),
            next_page_token=check.page_token([next_id], key) if next_id else "",
        )

    async def GetLastCheck(
        self, request: rpc.GetLastCheckRequest, context: Any
    ) -> rpc.GetLastCheckResponse:
        require_keeper("The books are")
        answer = rpc.GetLastCheckResponse()
        audit = await self._auditor.state()
        if audit is not None:
            _say_progress(answer, audit.progress)
            answer.findings.extend(_findings(audit.findings))
        state = await self._recon.state()
        if state is not None:
            answer.recon_time.CopyFrom(timestamp(state.look_time_us))
            answer.recon_day, answer.recon_lines = state.day, state.lines
            answer.recon_findings.extend(_findings(state.findings))
        return answer


def _say_progress(answer: rpc.GetLastCheckResponse, row: AuditRow) -> None:
    for name, time_us in (
        ("check_time", row.check_time_us),
        ("walk_begin_time", row.walk_begin_us),
        ("whole_begin_time", row.whole_begin_us),
        ("whole_end_time", row.whole_end_us),
    ):
        if time_us is not None:
            getattr(answer, name).CopyFrom(timestamp(time_us))
    answer.escrows_checked = row.escrows_checked
    answer.walk_checked, answer.walk_total = row.walk_checked, row.walk_total


def _findings(found: Iterable[Finding]) -> list[rpc.Finding]:
    return [rpc.Finding(escrow_id=f.escrow_id, check=f.check, message=f.message) for f in found]


def _entry(row: PostingRow, is_keeper: bool) -> rpc.Entry:
    return rpc.Entry(
        escrow_id="" if row.is_outside else row.escrow_id,
        version=row.version,
        position=row.position,
        account=row.account,
        amount=pb.Money(amount_minor=row.amount_minor, currency=row.currency),
        create_time=timestamp(row.create_time_us),
        entity_id=row.entity_id,
        # How the platform is paid is not the parties' business.
        settlement_id=row.settlement_id if is_keeper else "",
        settlement_utr=row.utr if is_keeper else "",
    )


def _page(row: PostingRow, key: str) -> str:
    return check.page_token([row.create_time_us, row.escrow_id, row.version, row.position], key)


def _read_page(token: str, key: str) -> tuple[int, str, int, int] | None:
    given = check.read_page_token(token, key, [int, str, int, int])
    return None if given is None else (given[0], given[1], given[2], given[3])
