"""LedgerService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

from typing import Any

from escrow.v1 import ledger_service_pb2_grpc as service

from core.errors import Reason, Refusal
from core.store import Store


class LedgerService(service.LedgerServiceServicer):
    """The books over gRPC."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ListEntries(self, request: Any, context: Any) -> Any:
        raise Refusal(Reason.NOT_OFFERED, "Not yet.")

    async def GetBalance(self, request: Any, context: Any) -> Any:
        raise Refusal(Reason.NOT_OFFERED, "Not yet.")

    async def CheckBooks(self, request: Any, context: Any) -> Any:
        raise Refusal(Reason.NOT_OFFERED, "Not yet.")
