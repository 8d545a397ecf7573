"""How far the long tests go: quick by default, whole with `--full`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`escrows` and `kills` of one storm; `steps` of the simulation.

    What decides nothing by the database is looked for on SQLite, where the simulation runs on one
    thread and repeats itself; PostgreSQL gets `postgres_steps`, and one of `postgres_every` orders
    of webhooks.
    """

    escrows: int
    kills: int
    steps: int
    postgres_steps: int
    postgres_every: int


QUICK = Size(escrows=30, kills=8, steps=2_000, postgres_steps=200, postgres_every=5)
FULL = Size(escrows=200, kills=50, steps=6_000, postgres_steps=1_000, postgres_every=1)
