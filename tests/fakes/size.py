"""How far the long tests go: quick by default, whole with `--full`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`escrows` and `kills` of one storm; `steps` of the simulation.

    On SQLite the simulation runs on one thread and repeats itself: it takes most steps there, and
    PostgreSQL gets `postgres_steps`, and one of `postgres_every` orders of webhooks.
    """

    escrows: int
    kills: int
    steps: int
    postgres_steps: int
    postgres_every: int


QUICK = Size(escrows=24, kills=6, steps=2_000, postgres_steps=100, postgres_every=20)
FULL = Size(escrows=200, kills=50, steps=6_000, postgres_steps=1_000, postgres_every=1)
