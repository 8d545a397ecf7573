"""A core that accepts every RPC: it records the calls and answers what the test prepares."""

from dataclasses import dataclass, field
from typing import Any

import grpc
import jwt
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status


@dataclass
class Call:
    """One call: the RPC's name, the request's bytes, the metadata."""

    name: str
    request: bytes
    metadata: dict[str, Any]

    @property
    def is_the_bridges(self) -> bool:
        """Whether the bridge asked on its own behalf, as it does all the time."""
        text = str(self.metadata.get("authorization", "")).removeprefix("Bearer ")
        return bool(jwt.decode(text, options={"verify_signature": False})["sub"] == "bridge")

    def read(self, kind: type[Message]) -> Any:
        return kind.FromString(self.request)


# What the bridge asks by itself all the time.
ITS_OWN = ("GetDefaults", "GetLastCheck", "WatchRevocations")
SERVES = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@dataclass
class AnyCore(grpc.GenericRpcHandler):
    """`answers` by RPC name; a name without one gets an empty message."""

    calls: list[Call] = field(default_factory=list)
    answers: dict[str, Message | status_pb2.Status] = field(default_factory=dict)
    port: int = 0

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    @property
    def last(self) -> Call:
        return self.calls[-1]

    def refuse(self, rpc: str, code: str, reason: str, **fields: str) -> None:
        """Refuse every call of `rpc`; `fields` become a BadRequest."""
        status = status_pb2.Status(code=code_pb2.Code.Value(code), message=f"refused: {reason}")
        details: list[Message] = [error_details_pb2.ErrorInfo(reason=reason, domain="holdfast")]
        if fields:
            bad = error_details_pb2.BadRequest()
            for name, problem in fields.items():
                bad.field_violations.add(field=name, description=problem)
            details.append(bad)
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        self.answers[rpc] = status

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        name = details.method.rpartition("/")[2]

        async def answer(request: bytes, context: Any) -> bytes:
            if name == "Check":
                return bytes(SERVES.SerializeToString())
            call = Call(name, request, dict(context.invocation_metadata()))
            if not (name in ITS_OWN and call.is_the_bridges):
                self.calls.append(call)
            found = self.answers.get(name)
            if isinstance(found, status_pb2.Status):
                await context.abort_with_status(rpc_status.to_status(found))
            return b"" if not isinstance(found, Message) else found.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)
