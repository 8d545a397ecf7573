"""A stack on one machine: which processes, at which addresses, with which settings.

`plan` derives it from the environment; `running` starts what was planned. Must never start anything
while a port is in use, and never leave anything running.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from scripts.mint import mint
from scripts.run import postgres
from scripts.run.children import Children, Program
from scripts.run.endpoint import Endpoint, endpoints, replicas
from scripts.run.probe import core_serves, http_answers, port_is_free, port_opens, until
from scripts.run.secret import Refusal, Secrets

READY_LIMIT_S = 90.0
"""The first start compiles bytecode and migrates, which takes about 20 s on a slow machine."""
BRIDGE_TOKEN_TTL_S = 365 * 86400

WEBHOOK_PATH = "/api/v1/webhooks/razorpay"


@dataclass(frozen=True)
class Stack:
    """`sandbox` is None if real Razorpay keys are set, `database_url` unless `database` is started
    here. `programs` are in starting order."""

    bridges: tuple[Endpoint, ...]
    cores: tuple[Endpoint, ...]
    sandbox: Endpoint | None
    core_has_tls: bool
    database: Program | None
    database_url: str
    programs: tuple[Program, ...]
    has_examples: bool = False

    @property
    def bridge(self) -> Endpoint:
        return self.bridges[0]

    @property
    def core(self) -> Endpoint:
        return self.cores[0]

    def endpoints(self) -> list[Endpoint]:
        return [*([self.sandbox] if self.sandbox else []), *self.cores, *self.bridges]


def plan(environment: Mapping[str, str], secrets: Secrets) -> Stack:
    """Derive the stack from the settings. Raises Refusal, which names everything that is wrong."""
    found = endpoints(environment)
    database, url = _database(environment)
    # By default gRPC writes a line, not in the log's format, for every connection that ends.
    shared = {"GRPC_VERBOSITY": "ERROR", **environment, "PYTHONUNBUFFERED": "1"}
    shared.pop("REPLICAS", None)
    wants_examples = _wants_examples(shared.pop("DEMO_DATA", ""))
    if url:
        shared["DATABASE_URL"] = url
    if not environment.get("JWT_JWKS_URL"):
        shared["JWT_SECRET"] = environment.get("JWT_SECRET") or secrets.jwt_secret
    programs = []
    if found.sandbox:
        shared |= _of_sandbox(found.sandbox, secrets)
        shared.setdefault("RAZORPAY_WEBHOOK_SECRET", secrets.webhook_secret)
        if "JWT_SECRET" in shared:
            shared.setdefault("DEMO_LOGIN", "1")
        webhook = ("--webhook-url", found.bridges[0].url() + WEBHOOK_PATH)
        programs.append(_program("sandbox", shared, "scripts.sandbox", *webhook))
    for core in found.cores:
        own = {**_without(shared, "BRIDGE_TOKEN"), "CORE_LISTEN": core.listen()}
        programs.append(_program(core.name, own, "core"))
    of_bridges = _bridge_environment(shared, found.cores)
    for bridge in found.bridges:
        own = {**of_bridges, "PORT": str(bridge.port)}
        programs.append(_program(bridge.name, own, "bridge"))
    has_tls = bool(environment.get("GRPC_TLS_CERT"))
    return Stack(
        found.bridges,
        found.cores,
        found.sandbox,
        has_tls,
        database,
        url,
        tuple(programs),
        # They are made by way of the demo's login, and paid in the sandbox.
        wants_examples and bool(found.sandbox) and shared.get("DEMO_LOGIN") == "1",
    )


def _wants_examples(value: str) -> bool:
    if value not in ("", "0", "1"):
        raise Refusal("DEMO_DATA must be 0 or 1")
    return value != "0"


def _database(environment: Mapping[str, str]) -> tuple[Program | None, str]:
    """The PostgreSQL that several cores need if they have none, and its address."""
    if replicas(environment) == 1 or environment.get("DATABASE_URL"):
        return None, ""
    url = postgres.address()
    plain = {**environment, "PYTHONWARNINGS": "ignore"}
    return _program("postgres", plain, "scripts.run.postgres", str(postgres.DATA)), url


def _of_sandbox(sandbox: Endpoint, secrets: Secrets) -> dict[str, str]:
    return {
        "RAZORPAY_KEY_ID": secrets.sandbox_key_id,
        "RAZORPAY_KEY_SECRET": secrets.sandbox_key_secret,
        "RAZORPAY_BASE_URL": sandbox.url(),
        "SANDBOX_PORT": str(sandbox.port),
    }


def _program(name: str, environment: Mapping[str, str], module: str, *more: str) -> Program:
    return Program(name, (sys.executable, "-m", module, *more), environment)


def _without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def _bridge_environment(shared: Mapping[str, str], cores: Sequence[Endpoint]) -> dict[str, str]:
    # The bridge speaks to core alone: what core speaks to the others with stays with core.
    own = _without(
        shared,
        "RAZORPAY_KEY_SECRET",
        "RAZORPAY_WEBHOOK_SECRET",
        "RAZORPAY_WEBHOOK_SECRET_PREVIOUS",
        "DATABASE_URL",
        "NATS_URL",
    )
    own.setdefault("CORE_ADDRESS", ",".join(core.address() for core in cores))
    if not own.get("BRIDGE_TOKEN") and own.get("JWT_SECRET"):
        own["BRIDGE_TOKEN"] = mint(
            own["JWT_SECRET"],
            "bridge",
            ["service"],
            ttl_s=BRIDGE_TOKEN_TTL_S,
            environment=shared,
        )
    return own


class Stopped(Exception):
    """The stack ended, or never got ready; the message says which process and how."""


@asynccontextmanager
async def running(stack: Stack, say: Callable[[str], None]) -> AsyncIterator[Children]:
    """Start the stack, yield when all of it answers, and stop it at the end, whatever happens.

    Raises Refusal if a port is in use, before anything is started. Raises Stopped if a process ends
    before all of them answer, or if READY_LIMIT_S is over.
    """
    taken = [one for one in stack.endpoints() if not port_is_free(one.host, one.port)]
    if taken:
        raise Refusal(
            "; ".join(
                f"{one.host}:{one.port}, where the {one.name} would listen, is in use"
                f" (set {one.variable} to another)"
                for one in taken
            )
        )
    children = Children(say)
    try:
        if stack.database:
            await children.start(stack.database)
            await _until_ready(until(lambda: postgres.answers(stack.database_url)), children)
        for program in stack.programs:
            await children.start(program)
        await _until_ready(_all_answer(stack), children)
        yield children
    finally:
        # Shielded, so that the processes end even if this task is cancelled.
        await asyncio.shield(children.stop())


async def _until_ready(answering: Coroutine[Any, Any, None], children: Children) -> None:
    ready = asyncio.create_task(answering)
    death = asyncio.create_task(children.first_death())
    try:
        done, _ = await asyncio.wait(
            {ready, death}, timeout=READY_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if death in done:
            raise Stopped(str(death.result()))
        if not done:
            raise Stopped(f"not all processes answer after {READY_LIMIT_S:g} s")
        ready.result()
    finally:
        ready.cancel()
        death.cancel()


async def _all_answer(stack: Stack) -> None:
    sandbox = stack.sandbox
    if sandbox:
        await until(lambda: http_answers(f"{sandbox.url()}/sandbox/state"))
    for core in stack.cores:
        if stack.core_has_tls:
            await until(partial(port_opens, core.reachable_host, core.port))
        else:
            await until(partial(core_serves, core.address()))
    for bridge in stack.bridges:
        await until(partial(http_answers, f"{bridge.url()}/readyz"))
