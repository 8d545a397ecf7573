"""Measuring in turns: A B A B …, so that a busy moment of the machine meets all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from scripts.bench.process import Broken

Figures = dict[str, float]


def in_turns(
    rounds: int,
    measures: Mapping[str, Callable[[], Figures]],
    broken: dict[str, str] | None = None,
) -> dict[str, Figures]:
    """Call each measure once in every round; answer the median of each of its figures.

    With `broken`, a measure that raises Broken is noted there and left out, and the others go on.
    """
    seen: dict[str, list[Figures]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name in list(seen):
            try:
                seen[name].append(measures[name]())
            except Broken as problem:
                if broken is None:
                    raise
                broken[name] = str(problem)
                del seen[name]
    return {name: medians(figures) for name, figures in seen.items()}


def medians(figures: list[Figures]) -> Figures:
    return {key: statistics.median(one[key] for one in figures) for key in figures[0]}
