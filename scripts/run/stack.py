"""A stack on one machine: which processes, at which addresses, with which settings.

`plan` derives it from the environment; `running` starts what was planned. Must never start anything
while a port is in use, and never leave anything running.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scripts.mint import mint
from scripts.run.children import Children, Program
from scripts.run.probe import core_serves, http_answers, port_is_free, port_opens, until
from scripts.run.secret import Refusal, Secrets

READY_LIMIT_S = 90.0
"""The first start compiles bytecode and migrates, which takes about 20 s on a slow machine."""
BRIDGE_TOKEN_TTL_S = 365 * 86400

WEBHOOK_PATH = "/api/v1/webhooks/razorpay"

# What only `make run` reads: the default, and the meaning for docs/reference/settings.md.
OWN_SETTINGS = {
    "SANDBOX_PORT": ("8001", "where the Razorpay sandbox serves HTTP, on this machine alone"),
}


@dataclass(frozen=True)
class Endpoint:
    """Where one process listens. `variable` is the setting that changes it."""

    name: str
    host: str
    port: int
    variable: str

    @property
    def reachable_host(self) -> str:
        """The host to connect to from this machine, also if it listens on all interfaces."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    def url(self) -> str:
        host = self.reachable_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def address(self) -> str:
        return self.url().removeprefix("http://")


@dataclass(frozen=True)
class Stack:
    """`sandbox` is None if real Razorpay keys are set. `programs` are in starting order."""

    bridge: Endpoint
    core: Endpoint
    sandbox: Endpoint | None
    core_has_tls: bool
    programs: tuple[Program, ...]

    def endpoints(self) -> list[Endpoint]:
        return [endpoint for endpoint in (self.sandbox, self.core, self.bridge) if endpoint]


def plan(environment: Mapping[str, str], secrets: Secrets) -> Stack:
    """Derive the stack from the settings. Raises Refusal, which names everything that is wrong."""
    endpoints = _endpoints(environment)
    bridge, core, sandbox = endpoints["bridge"], endpoints["core"], endpoints.get("sandbox")
    # By default gRPC writes a line, not in the log's format, for every connection that ends.
    shared = {"GRPC_VERBOSITY": "ERROR", **environment, "PYTHONUNBUFFERED": "1"}
    if not environment.get("JWT_JWKS_URL"):
        shared["JWT_SECRET"] = environment.get("JWT_SECRET") or secrets.jwt_secret
    programs = []
    if sandbox:
        shared |= {
            "RAZORPAY_KEY_ID": secrets.sandbox_key_id,
            "RAZORPAY_KEY_SECRET": secrets.sandbox_key_secret,
            "RAZORPAY_BASE_URL": sandbox.url(),
            "SANDBOX_PORT": str(sandbox.port),
        }
        shared.setdefault("RAZORPAY_WEBHOOK_SECRET", secrets.webhook_secret)
        if "JWT_SECRET" in shared:
            shared.setdefault("DEMO_LOGIN", "1")
        webhook = ("--webhook-url", bridge.url() + WEBHOOK_PATH)
        programs.append(_program("sandbox", shared, "scripts.sandbox", *webhook))
    programs.append(_program("core", _without(shared, "BRIDGE_TOKEN"), "core"))
    programs.append(_program("bridge", _bridge_environment(shared, core), "bridge"))
    has_tls = bool(environment.get("GRPC_TLS_CERT"))
    return Stack(bridge, core, sandbox, has_tls, tuple(programs))


def _program(name: str, environment: Mapping[str, str], module: str, *more: str) -> Program:
    return Program(name, (sys.executable, "-m", module, *more), environment)


def _without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def _bridge_environment(shared: Mapping[str, str], core: Endpoint) -> dict[str, str]:
    # The bridge never speaks to Razorpay: its secrets stay with core.
    own = _without(
        shared,
        "RAZORPAY_KEY_SECRET",
        "RAZORPAY_WEBHOOK_SECRET",
        "RAZORPAY_WEBHOOK_SECRET_PREVIOUS",
        "DATABASE_URL",
    )
    own.setdefault("CORE_ADDRESS", core.address())
    if not own.get("BRIDGE_TOKEN") and own.get("JWT_SECRET"):
        own["BRIDGE_TOKEN"] = mint(
            own["JWT_SECRET"],
            "bridge",
            ["service"],
            ttl_s=BRIDGE_TOKEN_TTL_S,
            environment=shared,
        )
    return own


def _endpoints(environment: Mapping[str, str]) -> dict[str, Endpoint]:
    host = environment.get("BRIDGE_HOST") or "127.0.0.1"
    listen = environment.get("CORE_LISTEN") or "127.0.0.1:50051"
    core_host, _, core_port = listen.rpartition(":")
    keys = [environment.get(f"RAZORPAY_KEY_{part}", "") for part in ("ID", "SECRET")]
    wanted = [
        ("bridge", host, environment.get("PORT") or "8000", "PORT"),
        ("core", core_host.strip("[]"), core_port, "CORE_LISTEN"),
    ]
    if not any(keys):
        sandbox_port = environment.get("SANDBOX_PORT") or OWN_SETTINGS["SANDBOX_PORT"][0]
        wanted.append(("sandbox", "127.0.0.1", sandbox_port, "SANDBOX_PORT"))
    wrong = [
        f"{variable} has no port between 1 and 65535"
        for _, _, port, variable in wanted
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    ]
    if any(keys) and not all(keys):
        wrong.append("RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET belong together: set both or none")
    if environment.get("JWT_JWKS_URL") and not environment.get("BRIDGE_TOKEN"):
        wrong.append(
            "BRIDGE_TOKEN must be set with JWT_JWKS_URL: `make run` has no key to sign one with"
        )
    if wrong:
        raise Refusal("; ".join(wrong))
    return {
        name: Endpoint(name, host, int(port), variable) for name, host, port, variable in wanted
    }


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
        for program in stack.programs:
            await children.start(program)
        await _until_ready(stack, children)
        yield children
    finally:
        # Shielded, so that the processes end even if this task is cancelled.
        await asyncio.shield(children.stop())


async def _until_ready(stack: Stack, children: Children) -> None:
    ready = asyncio.create_task(_all_answer(stack))
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
    core, sandbox = stack.core, stack.sandbox
    if sandbox:
        await until(lambda: http_answers(f"{sandbox.url()}/sandbox/state"))
    if stack.core_has_tls:
        await until(lambda: port_opens(core.reachable_host, core.port))
    else:
        await until(lambda: core_serves(core.address()))
    await until(lambda: http_answers(f"{stack.bridge.url()}/readyz"))
