"""Builds the Python code of proto/ into gen/, as `make proto` and as hatchling's build hook.

Must never be needed at run time: a wheel carries what this makes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import os
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def _stamp(sources: list[Path]) -> str:
    versions = [importlib.metadata.version(p) for p in ("grpcio-tools", "mypy-protobuf")]
    return "\n".join(versions + [file.read_text() for file in (Path(__file__), *sources)])


def build(root: Path = ROOT) -> bool:
    """Generate gen/escrow and gen/googleapis; answer whether anything had to be done."""
    from grpc_tools import protoc

    proto, gen = root / "proto", root / "gen"
    sources = sorted(proto.rglob("*.proto"))
    stamp = gen / ".stamp"
    if stamp.exists() and stamp.read_text() == _stamp(sources):
        return False
    shutil.rmtree(gen, ignore_errors=True)
    gen.mkdir()
    include = str(importlib.resources.files("grpc_tools") / "_proto")
    # buf resolves google/api from files, not from installed packages.
    import google.api

    api = Path(next(iter(google.api.__path__)))
    (gen / "googleapis/google/api").mkdir(parents=True)
    for name in ("annotations.proto", "http.proto"):
        shutil.copy(api / name, gen / "googleapis/google/api" / name)
    # protoc looks for its plugins on the PATH, where those of a virtual environment need not be.
    os.environ["PATH"] = os.pathsep.join((os.environ["PATH"], str(Path(sys.executable).parent)))
    arguments = ["protoc", f"-I{proto}", f"-I{gen / 'googleapis'}", f"-I{include}"]
    arguments += [f"--{out}={gen}" for out in ("python_out", "grpc_python_out")]
    arguments += [f"--mypy_out=quiet:{gen}", f"--mypy_grpc_out=quiet:{gen}"]
    # The generated code leaves out the comments; openapi.json describes itself with them.
    (gen / "escrow").mkdir()
    arguments += [
        "--include_source_info",
        f"--descriptor_set_out={gen / 'escrow/descriptors.binpb'}",
    ]
    if protoc.main(arguments + [str(source) for source in sources]) != 0:
        raise SystemExit("build_proto: protoc refused proto/; its message is above")
    for package in ("escrow", "escrow/v1"):
        (gen / package / "__init__.py").touch()
        (gen / package / "py.typed").touch()
    stamp.write_text(_stamp(sources))
    return True


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # Run by hand: hatchling is only there during a build.
    pass
else:

    class ProtoBuildHook(BuildHookInterface[Any]):
        """hatchling's hook: generated code is built whenever the project is."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            build(Path(self.root))


if __name__ == "__main__":
    print("gen/ is rebuilt" if build() else "gen/ is up to date", file=sys.stderr)
