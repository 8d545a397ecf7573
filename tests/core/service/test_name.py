"""What the name of a person may be made of."""

import pytest

from core.service.name import MAX_DISPLAY_NAME, MAX_MARKS, problem, written


@pytest.mark.parametrize(
    "name",
    [
        "Asha Verma",
        "आशा वर्मा",
        "क्\u200dष पटेल",  # Hindi with a zero-width joiner.
        "\u0645\u06cc\u200c\u062e\u0648",  # Persian with a zero-width non-joiner.
        "அன்பு",
        "Ravi's Cycles & Sons, Pune (2)",
        "van der Berg-Østergård",
        "e\u0301ve",
        "7",
        "Мария Иванова",
        "Αθηνά Papadaki",  # Two scripts, in two words.
        "李雷",
        "Asha 🌸",
        "a" * MAX_DISPLAY_NAME,
        "",
    ],
)
def test_a_name_is_taken_as_it_is_written(name: str) -> None:
    assert problem(name) == ""
    assert written(f" \t{name}\u00a0\n") == name


@pytest.mark.parametrize(
    "name",
    [
        "Asha\u202eamreV",  # Right-to-left override.
        "\u2067Asha\u2069",  # An isolate.
        "Asha\u200f",  # A mark of direction, which a name does without.
        "As\u200bha",  # Zero-width space: reads as Asha.
        "Asha\ufeff",
        "As\u00adha",
        "Asha\U000e0041",  # A tag, which nothing shows.
        "As\u115fha",
        "Asha\nPaid in full",
        "Asha\u2028Verma",
        "Asha\tVerma",
        "A\0",
        "A\x1b[31m",
        "\ue000",
        "\ud800",
    ],
)
def test_what_shows_other_text_than_it_holds_is_refused(name: str) -> None:
    assert problem(name).startswith("must not contain control characters")
    assert problem(name).endswith("take them out")


@pytest.mark.parametrize(
    "name",
    ["\u0410sha", "Rav\u0456", "Asha \u0392eta-Be\u03c4a", "R\u0430vi Kumar"],
    ids=["Cyrillic A", "Cyrillic i", "Greek tau", "Cyrillic a"],
)
def test_a_word_of_letters_that_look_alike_is_refused(name: str) -> None:
    assert "look alike" in problem(name)


@pytest.mark.parametrize("name", ["razorpay", "Razorpay", "SETTLEMENT", "Clock", "\uff43lock"])
def test_nobody_is_called_as_holdfast_calls_itself(name: str) -> None:
    assert "keeps for itself" in problem(name)
    assert problem(f"{name} Sharma") == ""


def test_a_name_covers_no_other_line() -> None:
    assert problem("A" + "\u0301" * MAX_MARKS) == ""
    assert problem("A" + "\u0301" * (MAX_MARKS + 1)) == (
        "must not have more than 4 marks on one letter; take some off"
    )


def test_a_name_has_a_letter_or_a_digit_and_at_most_its_characters() -> None:
    for nothing in ("...", "\u0301", "🌸", "-", "\u200d"):
        assert "leave it empty to delete" in problem(nothing)
    assert problem("a" * (MAX_DISPLAY_NAME + 1)) == "must have at most 80 characters; shorten it"
