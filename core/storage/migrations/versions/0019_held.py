"""What is held for a user and what waits for him, by indexes that have all that is added up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_HELD = {
    "buyer": "held_minor > 0",
    "seller": "held_minor > 0",
    "arbiter": "arbiter_id > '' AND held_minor > 0",
}


def upgrade() -> None:
    for role, which in _HELD.items():
        _index(f"escrows_held_{role}", [f"{role}_id", "held_minor"], which)
        needs = f"needs_{role}"
        op.drop_index(f"escrows_{needs}", "escrows")
        columns = [f"{role}_id", "create_time_us", "escrow_id", needs]
        _index(f"escrows_{needs}", columns, f"{needs} > 0")


def _index(name: str, columns: list[str], which: str) -> None:
    text = sa.text(which)
    op.create_index(name, "escrows", columns, postgresql_where=text, sqlite_where=text)
