"""Where the processes of a stack listen, derived from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.run.secret import Refusal

# What only `make run` reads: the default, and the meaning for docs/reference/settings.md.
OWN_SETTINGS = {
    "SANDBOX_PORT": ("8001", "where the Razorpay sandbox serves HTTP, on this machine alone"),
    "REPLICAS": (
        "1",
        "how many cores and how many bridges run on one PostgreSQL, up to 8; each more core listens"
        " one port further than `CORE_LISTEN`, each more bridge ten further than `PORT`",
    ),
    "DEMO_DATA": (
        "1 with the sandbox",
        "`1` adds example escrows of asha, ravi and meera to a database that has none; `0` adds"
        " none",
    ),
}
MOST_REPLICAS = 8
# Far enough apart that the sandbox, which is next to the first bridge, stays where it is.
BRIDGE_STEP, CORE_STEP = 10, 1


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
        return _url(self.reachable_host, self.port)

    def address(self) -> str:
        return self.url().removeprefix("http://")

    def listen(self) -> str:
        """As CORE_LISTEN takes it."""
        return _url(self.host, self.port).removeprefix("http://")


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class Endpoints:
    """`sandbox` is None if real Razorpay keys are set."""

    bridges: tuple[Endpoint, ...]
    cores: tuple[Endpoint, ...]
    sandbox: Endpoint | None


def replicas(environment: Mapping[str, str]) -> int:
    """How many cores and bridges are wanted; 0 if REPLICAS makes no sense."""
    text = environment.get("REPLICAS") or OWN_SETTINGS["REPLICAS"][0]
    count = int(text) if text.isascii() and text.isdigit() else 0
    return count if count <= MOST_REPLICAS else 0


def endpoints(environment: Mapping[str, str]) -> Endpoints:
    """Find all places. Raises Refusal, which names everything that is wrong."""
    listen = environment.get("CORE_LISTEN") or "127.0.0.1:50051"
    core_host, _, core_port = listen.rpartition(":")
    ports = {"PORT": environment.get("PORT") or "8000", "CORE_LISTEN": core_port}
    has_sandbox = not any(_keys(environment))
    if has_sandbox:
        ports["SANDBOX_PORT"] = environment.get("SANDBOX_PORT") or OWN_SETTINGS["SANDBOX_PORT"][0]
    wrong = _wrong(environment, ports)
    if wrong:
        raise Refusal("; ".join(wrong))
    count = replicas(environment)
    host = environment.get("BRIDGE_HOST") or "127.0.0.1"
    at = {name: int(port) for name, port in ports.items()}
    sandbox = None
    if has_sandbox:
        sandbox = Endpoint("sandbox", "127.0.0.1", at["SANDBOX_PORT"], "SANDBOX_PORT")
    return Endpoints(
        _several("bridge", host, at["PORT"], BRIDGE_STEP, "PORT", count),
        _several("core", core_host.strip("[]"), at["CORE_LISTEN"], CORE_STEP, "CORE_LISTEN", count),
        sandbox,
    )


def _several(
    name: str, host: str, port: int, step: int, variable: str, count: int
) -> tuple[Endpoint, ...]:
    names = [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
    return tuple(
        Endpoint(one, host, port + place * step, variable) for place, one in enumerate(names)
    )


def _keys(environment: Mapping[str, str]) -> list[str]:
    return [environment.get(f"RAZORPAY_KEY_{part}", "") for part in ("ID", "SECRET")]


def _wrong(environment: Mapping[str, str], ports: Mapping[str, str]) -> list[str]:
    count = replicas(environment)
    steps = {"PORT": BRIDGE_STEP, "CORE_LISTEN": CORE_STEP}
    wrong = [
        f"{variable} has no port between 1 and 65535"
        for variable, port in ports.items()
        if not (
            port.isascii()
            and port.isdigit()
            and 0 < int(port) <= 65535 - steps.get(variable, 0) * max(count - 1, 0)
        )
    ]
    if not count:
        wrong.append(f"REPLICAS must be a number from 1 to {MOST_REPLICAS}")
    keys = _keys(environment)
    if any(keys) and not all(keys):
        wrong.append("RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET belong together: set both or none")
    if environment.get("JWT_JWKS_URL") and not environment.get("BRIDGE_TOKEN"):
        wrong.append(
            "BRIDGE_TOKEN must be set with JWT_JWKS_URL: `make run` has no key to sign one with"
        )
    if count > 1 and environment.get("DATABASE_URL", "postgresql").startswith("sqlite"):
        wrong.append("a SQLite file is for one core: with REPLICAS, DATABASE_URL is a PostgreSQL")
    return wrong
