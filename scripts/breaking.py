"""Compares proto/ with the last release: a change that would break its clients fails the lint.

The last release is the newest tag that git knows of. Without one there is nothing to break yet.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def last_tag(root: Path = ROOT) -> str:
    """Answer the newest tag before this commit; empty where there is none."""
    command = ["git", "describe", "--tags", "--abbrev=0"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def compare(tag: str, root: Path = ROOT) -> int:
    """Run `buf breaking` against a tag; answers its exit code."""
    archive = subprocess.run(
        ["git", "archive", tag, "proto"], cwd=root, capture_output=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder)
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(before, filter="data")
        # What proto/ imports of Google's is the same on both sides.
        shutil.copytree(root / "gen/googleapis", before / "gen/googleapis")
        shutil.copy(root / ".buf.yaml", before / "buf.yaml")
        now = before / "now"
        shutil.copytree(root / "proto", now / "proto")
        shutil.copytree(root / "gen/googleapis", now / "gen/googleapis")
        shutil.copy(root / ".buf.yaml", now / "buf.yaml")
        buf = Path(sys.executable).with_name("buf")
        command = [str(buf), "breaking", str(now), "--against", f"{before}"]
        return subprocess.run(command, cwd=root, check=False).returncode


def main() -> None:
    """Exit with buf's code; with 0 where nothing was released yet."""
    tag = last_tag()
    if not tag:
        print("breaking: no tag yet, so there is nothing that proto/ could break", file=sys.stderr)
        return
    code = compare(tag)
    if code:
        print(f"breaking: proto/ breaks clients of {tag}, as said above", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
