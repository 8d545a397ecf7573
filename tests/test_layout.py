"""The arrows of ARCHITECTURE.md, read from the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = sorted(p for p in (ROOT / "core").rglob("*.py"))
BRIDGE = sorted(p for p in (ROOT / "bridge").rglob("*.py") if "node_modules" not in p.parts)


def room(path: Path) -> str:
    """A file's name as an import would say it."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Every module that a file names, with the names that it takes from packages of ours."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found.add(node.module or "")
            if (node.module or "") in ("core", "bridge", "core.service"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def who_imports(package: str, files: list[Path]) -> set[str]:
    return {
        room(path)
        for path in files
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
    }


def test_core_and_bridge_share_nothing_but_the_proto() -> None:
    assert who_imports("bridge", CORE) == set()
    assert who_imports("core", BRIDGE) == set()
    assert who_imports("scripts", CORE + BRIDGE) == set()
    assert who_imports("tests", CORE + BRIDGE) == set()


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        room(path)
        for path in CORE + BRIDGE
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    # Alembic by hand has no settings of core's to read.
    assert readers - {"core.migrations.env"} <= {"core.config", "bridge.config"}


def test_only_the_storage_knows_sql() -> None:
    knows = {name for name in who_imports("sqlalchemy", CORE) if "migrations" not in name}
    # The executor tells a lost race (IntegrityError) from a mistake.
    assert knows <= {
        "core.tables",
        "core.database",
        "core.store",
        "core.transaction",
        "core.row",
        "core.execute",
    }
    assert who_imports("sqlalchemy", BRIDGE) == set()


def test_only_the_edge_of_core_knows_grpc() -> None:
    knows = who_imports("grpc", CORE)
    assert knows <= {"core.guard", "core.server", "core.reflection"}


@pytest.mark.parametrize("law", ["rules", "deal", "news", "ledger", "money", "escrow", "command"])
def test_the_law_does_nothing_but_think(law: str) -> None:
    allowed = {"core", "msgspec", "collections", "dataclasses", "enum", "re", "typing"}
    names = {name.split(".")[0] for name in imports(ROOT / "core" / f"{law}.py")}
    assert names - {"__future__"} <= allowed


# From the ground up: a room imports only what stands before it, or beside it in one line.
FLOORS = [
    {"errors", "money", "escrow", "command", "log", "config", "migrations", "tables"},
    {"deal", "ledger", "razorpay", "token"},
    {"news", "record", "report", "step"},
    {"rules", "row", "database", "look"},
    {"transaction", "books"},
    {"store", "guard", "bell", "reflection"},
    {"execute"},
    {"feed", "settle", "deadline", "webhook", "audit", "reconcile", "follow"},
    {"service"},
    {"server"},
    {"__main__"},
]


def floor(name: str) -> int:
    top = name.split(".")[1]
    return next(i for i, rooms in enumerate(FLOORS) if top in rooms)


def test_no_room_imports_upward() -> None:
    upward = [
        f"{room(path)} imports {name}"
        for path in CORE
        if room(path) not in ("core", "core.migrations.env", "core.migrations")
        for name in imports(path)
        if name.startswith("core.") and floor(name) > floor(room(path))
    ]
    assert upward == []
