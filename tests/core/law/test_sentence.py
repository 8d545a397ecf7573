"""The dashboard has every sentence of core's that tells a person what to look at."""

import json
import re
from pathlib import Path

from tests.core.law.sentence import CORE, GAP, sentences

WORDS = Path(__file__).parents[3] / "bridge/dashboard/src/words/en/sentence.json"


def test_the_dashboard_knows_every_sentence_of_core_and_no_other() -> None:
    known = list(json.loads(WORDS.read_text())["what"].values())
    told = sentences()
    assert len(told) > 10
    assert [one for one in told if not any(_fits(text, one) for text in known)] == []
    assert [text for text in known if not any(_fits(text, one) for one in told)] == []


def test_the_dashboard_knows_why_a_payment_is_of_no_use_and_what_the_clock_notes() -> None:
    words = json.loads(WORDS.read_text())
    law = "".join((CORE / "law" / name).read_text() for name in ("news.py", "deal.py"))
    for text in (*words["why"].values(), *words["note"].values()):
        # A value in the source stands in braces too, under a name of its own.
        pattern = r"\{[^{}]*\}".join(map(re.escape, re.split(r"\{\{\w+\}\}", text)))
        assert re.search(pattern, law), text


def _fits(text: str, sentence: str) -> bool:
    """Whether a text of the catalogue is this sentence, with words or values in its gaps."""
    pattern = ".+".join(map(re.escape, sentence.split(GAP)))
    return re.fullmatch(pattern, text) is not None
