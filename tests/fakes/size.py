"""The size of the long tests: small by default, full with `--full`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`escrows` and `kills` are for one chaos test, `steps` for the simulation.

    On SQLite the simulation runs on one thread and is deterministic, so that most steps run there.
    PostgreSQL gets `postgres_steps`, and one of every `postgres_every` orders of webhooks.
    `sockets` read while cores and bridges are killed for `suffering_s`.
    """

    escrows: int
    kills: int
    steps: int
    postgres_steps: int
    postgres_every: int
    sockets: int
    suffering_s: float


QUICK = Size(
    escrows=24,
    kills=6,
    steps=2_000,
    postgres_steps=100,
    postgres_every=20,
    sockets=60,
    suffering_s=6.0,
)
FULL = Size(
    escrows=200,
    kills=50,
    steps=6_000,
    postgres_steps=1_000,
    postgres_every=1,
    sockets=500,
    suffering_s=60.0,
)
