"""How far the storms and the simulation go: quick by default, whole with `--full`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`escrows` and `kills` of one storm; steps of the simulation on each database.

    What runs on one thread repeats itself, and is the better place to look for more.
    """

    escrows: int
    kills: int
    steps: int
    postgres_steps: int


QUICK = Size(escrows=60, kills=15, steps=2_000, postgres_steps=300)
FULL = Size(escrows=200, kills=50, steps=6_000, postgres_steps=1_000)
