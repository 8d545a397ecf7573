"""The wings, read from the imports: which may import which, and by which door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("core", "bridge", "holdfast")
FILES = sorted(
    path for top in TOPS for path in (ROOT / top).rglob("*.py") if "node_modules" not in path.parts
)

# A wing imports itself and what stands here. `errors`, `limits` and `metrics` are single rooms that
# a whole process shares.
WINGS = {
    "core.errors": set(),
    "core.config": {"holdfast"},
    "core.heartbeat": {"core.errors"},
    "core.law": {"core.errors", "holdfast"},
    "core.storage": {"core.law", "core.errors"},
    "core.execute": {"core.storage", "core.law", "core.heartbeat", "core.errors"},
    # The time of core, which it writes down and compares.
    "core.clock": {"core.storage", "core.heartbeat", "core.errors"},
    "core.razorpay": set(),
    "core.settlement": {
        "core.razorpay",
        "core.execute",
        "core.storage",
        "core.law",
        "core.heartbeat",
        "core.errors",
    },
    "core.books": {
        "core.settlement",
        "core.storage",
        "core.law",
        "core.heartbeat",
        "core.errors",
    },
    "core.attachments": {"core.storage", "core.law", "core.heartbeat", "core.errors"},
    "core.webhooks": {"core.storage", "core.heartbeat", "core.errors"},
    "core.live": {
        "core.feed",
        "core.execute",
        "core.storage",
        "core.law",
        "core.heartbeat",
        "core.errors",
        "holdfast",
    },
    "core.feed": {"core.execute", "core.storage", "core.heartbeat", "core.errors"},
    "core.nats": {
        "core.feed",
        "core.live",
        "core.execute",
        "core.storage",
        "core.heartbeat",
        "core.errors",
    },
    "core.strain": set(),
    "core.health": {"core.storage", "core.heartbeat", "core.errors"},
    "core.metrics": {
        "core.nats",
        "core.health",
        "core.books",
        "core.storage",
        "core.heartbeat",
        "core.errors",
        "holdfast",
    },
    "core.rooms": {
        "core.attachments",
        "core.books",
        "core.feed",
        "core.live",
        "core.nats",
        "core.webhooks",
        "core.settlement",
        "core.razorpay",
        "core.execute",
        "core.storage",
        "core.clock",
        "core.strain",
        "core.heartbeat",
        "core.config",
    },
    "core.service": {
        "core.attachments",
        "core.books",
        "core.feed",
        "core.live",
        "core.webhooks",
        "core.settlement",
        "core.execute",
        "core.storage",
        "core.law",
        "core.strain",
        "core.heartbeat",
        "core.errors",
        "holdfast",
    },
    "core.operator": {
        "core.rooms",
        "core.books",
        "core.settlement",
        "core.storage",
        "core.clock",
        "core.heartbeat",
        "core.config",
    },
    "core.server": {
        "core.rooms",
        "core.metrics",
        "core.health",
        "core.service",
        "core.live",
        "core.webhooks",
        "core.settlement",
        "core.strain",
        "core.heartbeat",
        "core.config",
        "holdfast",
    },
    "core.__main__": {
        "core.attachments",
        "core.operator",
        "core.server",
        "core.books",
        "core.config",
        "core.razorpay",
        "core.storage",
        "core.law",
        "core.errors",
        "holdfast",
    },
    "bridge.limits": set(),
    "bridge.metrics": set(),
    "bridge.config": {"holdfast"},
    "bridge.check": {"bridge.protocol", "holdfast"},
    "bridge.door": {"bridge.limits", "bridge.metrics", "holdfast"},
    "bridge.protocol": set(),
    "bridge.upstream": {"bridge.protocol", "bridge.limits", "bridge.metrics", "holdfast"},
    "bridge.browser": {
        "bridge.door",
        "bridge.upstream",
        "bridge.protocol",
        "bridge.limits",
        "bridge.metrics",
        "holdfast",
    },
    "bridge.web": {"bridge.door", "bridge.upstream", "bridge.limits", "bridge.metrics", "holdfast"},
    "bridge.workers": set(),
    "bridge.server": {
        "bridge.workers",
        "bridge.web",
        "bridge.browser",
        "bridge.door",
        "bridge.upstream",
        "bridge.config",
        "bridge.limits",
        "bridge.metrics",
        "holdfast",
    },
    "bridge.__main__": {
        "bridge.workers",
        "bridge.check",
        "bridge.server",
        "bridge.upstream",
        "bridge.config",
        "bridge.limits",
        "holdfast",
    },
    "holdfast": set(),
}

# What other wings may import of a wing; the rooms that wire all may import anything.
DOORS = {
    "core.law": {
        "chargeback",
        "command",
        "escrow",
        "ledger",
        "message",
        "money",
        "part",
        "payee",
        "payment",
        "record",
        "rules",
        "status",
        "turn",
        "words",
    },
    "core.storage": {
        "attachment",
        "audit",
        "batch",
        "condition",
        "link",
        "listing",
        "position",
        "profile",
        "recon",
        "row",
        "store",
        "transaction",
        "trip",
        "trouble",
        "vital",
        "outgoing",
        "webhook",
    },
    "core.settlement": {
        "checkout",
        "compare",
        "inspect",
        "inspection",
        "override",
        "recon",
        "retry",
        "webhook",
    },
    "core.books": {"audit", "fold", "recon"},
    "core.feed": {"sequence", "tail"},
    "core.live": {"feed", "bundle", "watched", "follow", "need", "revoke"},
    "core.attachments": {"archive", "choice"},
    "core.webhooks": {"address", "signature"},
    "core.nats": {"exchange"},
    "core.service": set(),
    "core.razorpay": set(),  # The package itself: its `__init__` names what it offers.
    "bridge.protocol": {"frames", "errors", "decoder", "handshake"},
    "bridge.check": {"command"},
    "bridge.door": {"body", "connection", "reply"},
    "bridge.upstream": {"core", "error", "watch", "watched", "follow", "standing"},
    "bridge.browser": set(),
    "bridge.web": set(),
    "bridge.workers": {"crew", "metrics", "post"},
}

# Packages that only some wings may know.
ONLY = {
    "sqlalchemy": {"core.storage", "core.execute"},  # The door tells a lost race by its error.
    "alembic": {"core.storage"},
    "grpc": {"core.service", "core.server", "bridge.upstream"},
    "razorpay": {"core.razorpay"},
    "requests": {"core.razorpay"},
    "nats": {"core.nats"},
    "aiobotocore": {"core.attachments"},
    "botocore": {"core.attachments"},
    "aiohttp": {
        "core.webhooks",
        "bridge.check",
        "bridge.door",
        "bridge.browser",
        "bridge.web",
        "bridge.server",
        "bridge.workers",
        "bridge.__main__",
        "holdfast",
    },
    "jwt": {"holdfast", "bridge.web"},  # The demo's login signs tokens.
    "pydantic": {"holdfast", "core.config", "bridge.config", "bridge.server"},
}


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def wing(name: str) -> str:
    parts = name.split(".")
    return "holdfast" if parts[0] == "holdfast" else ".".join(parts[:2])


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports; for `from package import name` both may be one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


# (importing module, imported module), of ours and between two wings.
ARROWS = sorted(
    {
        (module(path), name)
        for path in FILES
        for name in imports(path)
        if name.split(".")[0] in TOPS and is_module(name) and name not in TOPS
        if wing(name) != wing(module(path))
    }
)


def test_every_file_has_its_wing() -> None:
    assert {wing(module(path)) for path in FILES} - {"core", "bridge"} == set(WINGS)


def test_core_and_bridge_never_import_each_other_nor_what_stands_around_them() -> None:
    for path in FILES:
        top = path.relative_to(ROOT).parts[0]
        others = {"core", "bridge", "scripts", "tests"} - {top}
        assert not {name.split(".")[0] for name in imports(path)} & others, path


@pytest.mark.parametrize("name", WINGS)
def test_a_wing_imports_only_what_its_row_names(name: str) -> None:
    found = {wing(imported) for importing, imported in ARROWS if wing(importing) == name}
    assert found <= WINGS[name]
    # A row that names more than is used would let an arrow in unseen.
    assert WINGS[name] - found <= {"core.errors", "holdfast"}


def test_the_table_has_no_circle() -> None:
    rest = dict(WINGS)
    while rest:
        ground = {name for name, below in rest.items() if not below & rest.keys()}
        assert ground, f"these import one another in a circle: {sorted(rest)}"
        rest = {name: below for name, below in rest.items() if name not in ground}


def test_a_wing_is_entered_by_its_doors() -> None:
    wrong = [
        f"{importing} imports {imported}"
        for importing, imported in ARROWS
        if wing(importing) not in ("core.rooms", "core.operator", "core.server", "bridge.server")
        if wing(imported) in DOORS and imported != wing(imported)
        if imported.split(".")[2] not in DOORS[wing(imported)]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ONLY)
def test_a_package_is_known_where_it_belongs(package: str) -> None:
    knows = {
        wing(module(path))
        for path in FILES
        if any(name.split(".")[0] == package for name in imports(path))
    }
    assert knows <= ONLY[package]


@pytest.mark.parametrize("path", sorted((ROOT / "core/law").glob("*.py")), ids=lambda p: p.stem)
def test_the_law_does_nothing_but_think(path: Path) -> None:
    allowed = {"core", "escrow", "google", "msgspec", "__future__", "collections", "dataclasses"}
    allowed |= {"enum", "hashlib", "re", "typing"}
    assert {name.split(".")[0] for name in imports(path)} <= allowed


def test_the_law_and_the_books_know_no_payment_provider() -> None:
    """Nothing of Razorpay but the names of its entities and accounts that stand in the record."""
    for folder in ("law", "books"):
        for path in (ROOT / "core" / folder).glob("*.py"):
            assert not {name for name in imports(path) if "razorpay" in name.lower()}, path


def test_every_wing_says_what_it_is_for() -> None:
    for name in {*WINGS, "core", "bridge"}:
        folder = ROOT.joinpath(*name.split("."))
        if folder.is_dir():
            text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
            assert text, f"{name} has no docstring"


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        module(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # Alembic by hand has no settings of core's to read.
    assert readers <= {"holdfast.settings", "core.storage.migrations.env"}
