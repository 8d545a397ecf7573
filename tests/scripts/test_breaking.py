"""What would break clients of the last release is found; before a release nothing can be broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import breaking

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of its own, with this proto committed."""
    for name in ("proto", "gen/googleapis"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / ".buf.yaml", tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "proto")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def changed(folder: Path, old: str, new: str) -> None:
    path = folder / "proto/escrow/v1/escrow_service.proto"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_without_a_tag_there_is_nothing_to_break(repository: Path) -> None:
    assert breaking.last_tag(repository) == ""


@pytest.mark.skipif(
    not Path(sys.executable).with_name("buf").exists(),
    reason="buf is not installed: make lint brings it",
)
def test_a_new_field_breaks_nobody_and_another_type_does(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    git(repository, "tag", "v1.0.0")
    assert breaking.last_tag(repository) == "v1.0.0"
    changed(repository, "bool more = 2;", "bool more = 2;\n  bool extra = 3;")
    assert breaking.compare("v1.0.0", repository) == 0
    changed(repository, "bool more = 2;", "string more = 2;")
    assert breaking.compare("v1.0.0", repository) != 0
    out, err = capfd.readouterr()
    assert "changed type" in out + err
