"""What calls of core raise where they bring no answer, read from gRPC's errors."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
# Reasons of UNAVAILABLE with which another core may do better: gRPC's own, and that of a core that
# drains. A core that lacks its database says so in its health too.
_GONE = frozenset({"", "SHUTTING_DOWN"})
_ENDED = "Internal error from Core"


@dataclass(eq=False)
class CoreError(Exception):
    """An error that core answered, or that core could not be reached (`code` UNAVAILABLE).

    `code` is a name of google.rpc.Code. `reason` is a name of core's catalogue, or empty. `fields`
    are the wrong fields, each with its description, in core's order.
    """

    code: str
    message: str
    reason: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def away(self) -> bool:
        """Whether core gave no answer, as opposed to a refusal."""
        return self.code in _AWAY

    @property
    def gone(self) -> bool:
        """Whether core went or is about to, so that what only reads may be asked again.

        A core that stops at once cancels the calls that it was answering.
        """
        return self.code in ("UNAVAILABLE", "CANCELLED") and self.reason in _GONE


def read_error(error: grpc.aio.AioRpcError) -> CoreError:
    """Read the error of a call, with what core says of it in its details."""
    if has_ended(error):
        return CoreError("UNAVAILABLE", "Core has ended the call. Try again.")
    reason, fields = "", []
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        with contextlib.suppress(DecodeError):
            for detail in status_pb2.Status.FromString(value).details:
                info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(bad):
                    fields = [(one.field, one.description) for one in bad.field_violations]
    return CoreError(error.code().name, error.details() or "", reason, tuple(fields))


def has_ended(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC says only that a call has ended, and not why.

    It raises this INTERNAL of its own where a call ends while it is written to, and may forget the
    true status over it (grpc/grpc#36066).
    """
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == _ENDED


def unless_cancelled(message: str) -> BaseException:
    """The error of a call that was cut here; a task that was itself cancelled stays so."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        return asyncio.CancelledError()
    return CoreError("UNAVAILABLE", message)
