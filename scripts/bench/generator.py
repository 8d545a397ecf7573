"""Talks to the load generator, a process of its own, written in Go (load/).

Its calls, sockets and posts cost this process nothing, and itself less than what it measures.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from scripts.bench.process import Broken, Process

ANSWER_LIMIT_S = 240.0
Told = dict[str, Any]


class Caller(Protocol):
    """The generator, for those who only make calls and posts."""

    def call(
        self, target: str, method: str, token: str, *bodies: bytes, at_once: int = 1
    ) -> list[bytes]: ...

    def begin(self, op: str, **args: Any) -> Future[Told]: ...

    def do(self, op: str, **args: Any) -> Told: ...


class Generator:
    """The running load generator. `pid` tells what the load itself costs."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._process = Process("generator", [str(program)], {}, folder, talks=True)
        self._waiting: dict[int, Future[Told]] = {}
        self._number = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        self._process.kill()

    def begin(self, op: str, **args: Any) -> Future[Told]:
        """Start an operation; its answer comes later. The operations are those of main.go."""
        self._number += 1
        answer: Future[Told] = Future()
        self._waiting[self._number] = answer
        line = json.dumps({"id": self._number, "op": op, "args": args}, default=_coded)
        self._process.input.write(line.encode() + b"\n")
        self._process.input.flush()
        return answer

    def do(self, op: str, **args: Any) -> Told:
        """Start an operation and wait for its answer."""
        return self.begin(op, **args).result(ANSWER_LIMIT_S)

    def call(
        self, target: str, method: str, token: str, *bodies: bytes, at_once: int = 1
    ) -> list[bytes]:
        """Make one call for each body; answer the replies, in no order. Raises Broken."""
        told = self.do(
            "calls",
            target=target,
            method=method,
            token=token,
            bodies=bodies,
            count=len(bodies),
            callers=at_once,
            channels=min(at_once, 4),
            keep=True,
        )
        if told["errors"]:
            raise Broken(f"{method} failed: {told['errors']}")
        # A reply without a byte comes as null.
        return [base64.b64decode(one or "") for one in told["replies"]]

    def _read(self) -> None:
        for line in self._process.output:
            told = json.loads(line)
            answer = self._waiting.pop(told["id"])
            if "error" in told:
                answer.set_exception(Broken(f"the load generator: {told['error']}"))
            else:
                answer.set_result(told.get("result", {}))
        for answer in self._waiting.values():
            answer.set_exception(Broken("the load generator has ended"))


def _coded(value: Any) -> str:
    assert isinstance(value, bytes)
    return base64.b64encode(value).decode()


def step(send: Mapping[str, Any] | str, expect: str) -> Told:
    """One step of a socket: what it sends, and what the answer contains."""
    return {"send": send if isinstance(send, str) else compact(send), "expect": expect}


def compact(value: Mapping[str, Any]) -> str:
    """Write JSON without blanks, as Holdfast does."""
    return json.dumps(value, separators=(",", ":"))


def require(told: Told, count: int, what: str) -> Told:
    """Make sure that so many sockets are served, after however many tries. Raises Broken."""
    if told["ready"] != count:
        raise Broken(f"{what}: {told['ready']} of {count} sockets are served, {told['errors']}")
    return told


def posts(url: str, bodies: Sequence[bytes], headers: Iterable[Mapping[str, str]]) -> list[Told]:
    """The argument `posts` of the operation of that name."""
    return [
        {"url": url, "body": body, "headers": dict(one)}
        for body, one in zip(bodies, headers, strict=True)
    ]
