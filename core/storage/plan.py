"""Statements that are run all the time: SQLAlchemy compiles each once, and the driver runs it."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg

_SQLITE: Any = sqlite.dialect()
_POSTGRES: Any = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Plan:
    """One statement of SQLAlchemy; `make` builds it for PostgreSQL or for SQLite."""

    def __init__(self, make: Callable[[bool], Any]) -> None:
        self._make = make

    @functools.cached_property
    def lite(self) -> Compiled:
        """The statement as SQLite's driver takes it."""
        return Compiled(self._make(False), _SQLITE, is_postgres=False)

    @functools.cached_property
    def postgres(self) -> Compiled:
        """The statement as asyncpg takes it."""
        return Compiled(self._make(True), _POSTGRES, is_postgres=True)


class Compiled:
    """The text of a statement, and the order in which it takes its parameters."""

    def __init__(self, statement: Any, dialect: Any, *, is_postgres: bool) -> None:
        self._is_postgres = is_postgres
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed: Mapping[str, Any] = compiled.params

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """Put parameters in the order of the text; those the statement itself knows go along.

        A set goes along as `listed` has it.
        """
        fixed = self._fixed
        values = (given[name] if name in given else fixed[name] for name in self._names)
        return tuple(
            listed(one, self._is_postgres) if isinstance(one, frozenset) else one for one in values
        )

    def rows(self, given: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Put the rows of an insert in the order of the text; each has all columns, two or more."""
        return list(map(operator.itemgetter(*self._names), given))


def one_of(column: sa.ColumnElement[Any], name: str, is_postgres: bool) -> sa.ColumnElement[bool]:
    """Compare with a list that comes as one parameter (see `listed`), however long it is."""
    if is_postgres:
        return column == sa.any_(sa.bindparam(name, type_=postgresql.ARRAY(sa.Text)))
    items = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value")
    return column.in_(sa.select(items.c.value))


def listed(items: Collection[str], is_postgres: bool) -> Any:
    """The parameter that `one_of` compares with."""
    return sorted(items) if is_postgres else json.dumps(sorted(items))
