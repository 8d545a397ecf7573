"""WebhookService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from escrow.v1 import webhook_service_pb2 as rpc
from escrow.v1 import webhook_service_pb2_grpc as service

from core.errors import Reason, Refusal, field_invalid
from core.law.escrow import ESCROW_ID
from core.law.message import US_PER_S, span_us
from core.service import check
from core.service.check import Check
from core.service.endpoint import (
    change,
    delivery_message,
    endpoint_message,
    locked,
    not_found,
    read_id,
    read_state,
    read_types,
    send_again,
)
from core.service.guard import require_keeper
from core.service.once import Answer, Done, Once
from core.storage.store import Store
from core.storage.transaction import Transaction
from core.webhooks.address import Guard
from core.webhooks.signature import new_secret

# Endpoints in all.
MAX_ENDPOINTS = 100
# Characters of an endpoint's description.
MAX_DESCRIPTION = 500
# Deliveries in one page of ListDeliveries: where the call names no size, and at most.
DEFAULT_PAGE, MAX_PAGE = 50, 200
# How long the previous secret signs where RotateSecret does not say, and at most.
KEEP_PREVIOUS_US, MAX_KEEP_PREVIOUS_US = 86_400 * US_PER_S, 7 * 86_400 * US_PER_S


class WebhookService(service.WebhookServiceServicer):
    """Webhooks out over gRPC."""

    def __init__(
        self, store: Store, guard: Guard, *, now_us: Callable[[], int], ring: Callable[[], None]
    ) -> None:
        """`ring` is called when there may be something to send."""
        self._store = store
        self._once = Once(store)
        self._guard = guard
        self._now_us = now_us
        self._ring = ring

    async def CreateEndpoint(
        self, request: rpc.CreateEndpointRequest, context: Any
    ) -> rpc.CreateEndpointResponse:
        require_keeper("Webhooks are")
        check_ = Check()
        check_.request_id(request.request_id)
        check_.text("description", request.description, most=MAX_DESCRIPTION)
        types = read_types(check_, request.types)
        self._check_url(check_, request.url)
        check_.done()

        async def create(transaction: Transaction) -> Done[rpc.CreateEndpointResponse]:
            if await transaction.webhooks.count() >= MAX_ENDPOINTS:
                text = f"There are {MAX_ENDPOINTS} endpoints already; delete one first."
                raise Refusal(Reason.TOO_MANY_ENDPOINTS, text)
            endpoint_id, secret = f"ep_{uuid.uuid4().hex}", new_secret()
            await transaction.webhooks.add(
                {
                    "endpoint_id": endpoint_id,
                    "url": request.url,
                    "types": types,
                    "description": request.description,
                    "unordered": request.unordered,
                    "secret": secret,
                    "previous_secret": "",
                    "create_time_us": self._now_us(),
                    "position": newest,
                    "pending": 0,
                    "disabled_reason": "",
                }
            )
            answer = rpc.CreateEndpointResponse(
                endpoint=await self._written(transaction, endpoint_id)
            )
            return endpoint_id, answer, secret

        known = await self._once.recalled(request, rpc.CreateEndpointResponse)
        if known is not None:
            return known
        await self._check_place(request.url)
        newest = await self._store.positions.newest()
        return await self._done(request, create, rpc.CreateEndpointResponse)

    async def ListEndpoints(
        self, request: rpc.ListEndpointsRequest, context: Any
    ) -> rpc.ListEndpointsResponse:
        require_keeper("Webhooks are")
        endpoints = await self._store.webhooks.endpoints()
        now_us = self._now_us()
        return rpc.ListEndpointsResponse(
            endpoints=[endpoint_message(one, now_us) for one in endpoints]
        )

    async def UpdateEndpoint(
        self, request: rpc.UpdateEndpointRequest, context: Any
    ) -> rpc.UpdateEndpointResponse:
        require_keeper("Webhooks are")
        check_ = Check()
        check_.request_id(request.request_id)
        check_.text("description", request.description, most=MAX_DESCRIPTION)
        types = read_types(check_, request.types)
        if request.all_types and types:
            check_.problem("types", "must be empty together with all_types")
        if request.HasField("url"):
            self._check_url(check_, request.url)
        check_.done()
        endpoint_id = read_id("endpoint_id", request.endpoint_id, Reason.ENDPOINT_NOT_FOUND)
        changes: dict[str, Any] = {
            name: getattr(request, name)
            for name in ("url", "description", "unordered")
            if request.HasField(name)
        }
        if types or request.all_types:
            changes["types"] = types
        is_disabled = request.disabled if request.HasField("disabled") else None

        async def update(transaction: Transaction) -> Done[rpc.UpdateEndpointResponse]:
            before = await locked(transaction, endpoint_id)
            await change(transaction, before, changes, is_disabled, self._now_us())
            answer = rpc.UpdateEndpointResponse(
                endpoint=await self._written(transaction, endpoint_id)
            )
            return endpoint_id, answer, ""

        known = await self._once.recalled(request, rpc.UpdateEndpointResponse)
        if known is not None:
            return known
        if "url" in changes:
            await self._check_place(request.url)
        return await self._done(request, update, rpc.UpdateEndpointResponse)

    async def DeleteEndpoint(
        self, request: rpc.DeleteEndpointRequest, context: Any
    ) -> rpc.DeleteEndpointResponse:
        require_keeper("Webhooks are")
        check_ = Check()
        check_.request_id(request.request_id)
        check_.done()
        endpoint_id = read_id("endpoint_id", request.endpoint_id, Reason.ENDPOINT_NOT_FOUND)

        async def delete(transaction: Transaction) -> Done[rpc.DeleteEndpointResponse]:
            await locked(transaction, endpoint_id)
            # Its deliveries may be many: they are forgotten later, a few at a time.
            nothing = {"secret": "", "previous_secret": "", "previous_until_us": None}
            await transaction.webhooks.change(endpoint_id, deleted_us=self._now_us(), **nothing)
            await transaction.webhooks.forget_secrets(endpoint_id)
            return endpoint_id, rpc.DeleteEndpointResponse(), ""

        return await self._done(request, delete, rpc.DeleteEndpointResponse)

    async def RotateSecret(
        self, request: rpc.RotateSecretRequest, context: Any
    ) -> rpc.RotateSecretResponse:
        require_keeper("Webhooks are")
        check_ = Check()
        check_.request_id(request.request_id)
        keep_us = KEEP_PREVIOUS_US
        if request.HasField("keep_previous"):
            keep_us = span_us(request.keep_previous)
        if not 0 <= keep_us <= MAX_KEEP_PREVIOUS_US:
            most = MAX_KEEP_PREVIOUS_US // US_PER_S
            check_.problem("keep_previous", f"must be from 0 s to {most} s")
        check_.done()
        endpoint_id = read_id("endpoint_id", request.endpoint_id, Reason.ENDPOINT_NOT_FOUND)

        async def rotate(transaction: Transaction) -> Done[rpc.RotateSecretResponse]:
            before = await locked(transaction, endpoint_id)
            secret, now_us = new_secret(), self._now_us()
            await transaction.webhooks.change(
                endpoint_id,
                secret=secret,
                previous_secret=before.secret if keep_us else "",
                previous_until_us=now_us + keep_us if keep_us else None,
            )
            answer = rpc.RotateSecretResponse(
                endpoint=await self._written(transaction, endpoint_id)
            )
            return endpoint_id, answer, secret

        return await self._done(request, rotate, rpc.RotateSecretResponse)

    async def ListDeliveries(
        self, request: rpc.ListDeliveriesRequest, context: Any
    ) -> rpc.ListDeliveriesResponse:
        require_keeper("Webhooks are")
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_PAGE, default=DEFAULT_PAGE
        )
        state = read_state(check_, request.state)
        if request.escrow_id and not ESCROW_ID.fullmatch(request.escrow_id):
            check_.problem("escrow_id", "must be the id of an escrow")
        check_.done()
        endpoint_id = read_id("endpoint_id", request.endpoint_id, Reason.ENDPOINT_NOT_FOUND)
        if await self._store.webhooks.endpoint(endpoint_id) is None:
            raise not_found(Reason.ENDPOINT_NOT_FOUND)
        key = f"{endpoint_id}:{state}:{request.escrow_id}"
        given = check.read_page_token(request.page_token, key, [int])
        found = await self._store.webhooks.deliveries(
            endpoint_id,
            state=state,
            escrow_id=request.escrow_id,
            before=None if given is None else given[0],
            limit=size + 1,
        )
        more = len(found) > size
        token = check.page_token([found[size - 1].position], key) if more else ""
        return rpc.ListDeliveriesResponse(
            deliveries=[delivery_message(one) for one in found[:size]], next_page_token=token
        )

    async def Redeliver(self, request: rpc.RedeliverRequest, context: Any) -> rpc.RedeliverResponse:
        require_keeper("Webhooks are")
        check_ = Check()
        check_.request_id(request.request_id)
        check_.done()
        delivery_id = read_id("delivery_id", request.delivery_id, Reason.DELIVERY_NOT_FOUND)

        known = await self._once.recalled(request, rpc.RedeliverResponse)
        if known is not None:
            return known
        found = await self._store.webhooks.delivery(delivery_id)
        if found is None:
            raise not_found(Reason.DELIVERY_NOT_FOUND)
        endpoint_id = found.endpoint_id

        async def redeliver(transaction: Transaction) -> Done[rpc.RedeliverResponse]:
            endpoint = await locked(transaction, endpoint_id)
            if endpoint.disabled_us is not None:
                text = "The endpoint is disabled; enable it first."
                raise Refusal(Reason.ENDPOINT_DISABLED, text)
            delivery = await send_again(transaction, endpoint, delivery_id, self._now_us())
            return endpoint_id, rpc.RedeliverResponse(delivery=delivery_message(delivery)), ""

        return await self._done(request, redeliver, rpc.RedeliverResponse)

    async def _done(
        self,
        request: Any,
        act: Callable[[Transaction], Awaitable[Done[Answer]]],
        kind: type[Answer],
    ) -> Answer:
        answer = await self._once.done(request, act, kind)
        self._ring()
        return answer

    async def _written(self, transaction: Transaction, endpoint_id: str) -> rpc.Endpoint:
        return endpoint_message(await locked(transaction, endpoint_id), self._now_us())

    def _check_url(self, check_: Check, url: str) -> None:
        problem = self._guard.url_problem(url)
        if problem:
            check_.problem("url", problem)

    async def _check_place(self, url: str) -> None:
        problem = await self._guard.place_problem(url)
        if problem:
            raise field_invalid("url", problem)
