"""What the docs say of lists can be measured again."""

from pathlib import Path

import pytest

from scripts import lists


@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_each_question_has_its_figures(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [one for one in lists.questions() if one.who is lists.MANY and "newest" in one.name][:8]
    monkeypatch.setattr(lists, "questions", lambda: [*few, lists.TOTALS])
    assert lists.main(["--escrows", "3000", "--on", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(few) + 3
    assert all(line.startswith(name) for line in lines)
    assert "many, no filter, newest" in lines[0]
    assert "50 found" in lines[0]


def test_the_large_user_is_asked_for_by_every_filter_and_order() -> None:
    names = [one.name for one in lists.questions()]
    assert len(set(names)) == len(names)
    for order in ("newest", "oldest", "needs_me"):
        assert f"many, a word of none, {order}" in names


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(lists, "questions", list)
    assert lists.main(["--escrows", "100", "--on", "sqlite"]) == 0
    assert list(tmp_path.iterdir()) == []
