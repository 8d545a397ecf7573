"""The size of the long tests: small by default, full with `--full`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`escrows` and `kills` are for one chaos test, `steps` for the simulation.

    On SQLite the simulation runs on one thread and is deterministic, so that most steps run there.
    PostgreSQL gets `postgres_steps`, and one of every `postgres_every` orders of webhooks.
    """

    escrows: int
    kills: int
    steps: int
    postgres_steps: int
    postgres_every: int


QUICK = Size(escrows=24, kills=6, steps=2_000, postgres_steps=100, postgres_every=20)
FULL = Size(escrows=200, kills=50, steps=6_000, postgres_steps=1_000, postgres_every=1)
