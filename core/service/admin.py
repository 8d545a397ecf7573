"""AdminService. Revocation reaches every replica and socket, and is not built yet."""

from __future__ import annotations

from typing import Any

from escrow.v1 import admin_service_pb2 as rpc
from escrow.v1 import admin_service_pb2_grpc as service

from core.errors import Reason, Refusal
from core.service.guard import caller


class AdminService(service.AdminServiceServicer):
    """For those who run the place."""

    async def RevokeTokens(
        self, request: rpc.RevokeTokensRequest, context: Any
    ) -> rpc.RevokeTokensResponse:
        if caller().roles.isdisjoint({"admin", "service"}):
            raise Refusal(Reason.ROLE_MISSING, "RevokeTokens is for the roles admin and service.")
        raise Refusal(Reason.NOT_OFFERED, "RevokeTokens is not offered yet.")
