"""What a text for people may be made of, character by character."""

import pytest

from core.service.text import is_clean, problem


@pytest.mark.parametrize(
    "text",
    [
        "Oak table",
        "नमस्ते क्\u200dष",  # Hindi with a zero-width joiner.
        "\u0645\u06cc\u200c\u062e\u0648",  # Persian with a zero-width non-joiner.
        "\u200f\u05e9\u05dc\u05d5\u05dd",  # A plain right-to-left mark.
        "👩\u200d👩\u200d👧",
        "e\u0301",
        "a\tb\r\nc",
        "\u00a0x",
        "€",
    ],
)
def test_what_a_language_needs_is_kept(text: str) -> None:
    assert problem(text, least=1, most=200) == ""
    assert is_clean({text: [text]})


@pytest.mark.parametrize("code", [0x00, 0x08, 0x0B, 0x1B, 0x1F, 0x7F, 0x80, 0x85, 0x9B, 0x9F])
def test_control_characters_of_both_sets_are_refused(code: int) -> None:
    assert "control characters" in problem(f"a{chr(code)}b", least=0, most=200)
    assert not is_clean([{"key": f"a{chr(code)}b"}])


@pytest.mark.parametrize("code", [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
def test_what_turns_the_direction_of_text_is_refused(code: int) -> None:
    assert "direction" in problem(f"a{chr(code)}b", least=0, most=200)
    assert not is_clean({f"a{chr(code)}b": 1})


@pytest.mark.parametrize(
    "text", ["\u200b", "\u200d\u200c", "\ufeff", "\u00ad", "\u3164", "\u2800 ", "\u2060\u180e"]
)
def test_a_title_of_nothing_visible_is_refused(text: str) -> None:
    assert problem(text, least=1, most=200)
    assert problem(text, least=0, most=200) == ""


def test_a_text_has_at_most_its_characters() -> None:
    assert problem("x" * 201, least=0, most=200) == "must have 0 to 200 characters"
    assert problem(" \n ", least=1, most=200) == "must have 1 to 200 characters"
