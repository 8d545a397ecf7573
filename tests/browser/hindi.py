"""The page in Hindi: its words by their keys, and a search for words that nobody has translated."""

import json
import re
from functools import cache
from typing import Any

from playwright.async_api import Page

from tests.browser.stack import DASHBOARD

WORDS = DASHBOARD / "src" / "words" / "hi"
# What Hindi writes in Latin letters too.
_NAMES = re.compile(
    # Products, kinds and sizes of files, the zone of a time.
    r"\b(?:Holdfast|Razorpay|PNG|JPEG|WebP|PDF|MB|IST)\b|"
    # Ids that people pass on, and links.
    r"\b(?:pay|order|rfnd|trf|acc)_\w*|"
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}…|https?:(?://\S*)?"
)
_LATIN = re.compile(r"[A-Za-z]")


def hindi(key: str, **fill: str) -> str:
    """Answer what the page says for `room.name` of the catalogue."""
    room, *names = key.split(".")
    found: Any = _room(room)
    for name in names:
        found = found[name]
    text = str(found)
    for name, value in fill.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    assert "{{" not in text, text
    return text


@cache
def _room(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((WORDS / f"{name}.json").read_text())
    return told


async def untranslated(page: Page, *own: str) -> list[str]:
    """Answer what is on the page in Latin letters, even one. `own` is what people wrote themselves.

    Hidden words count, because they are shown or read out at some time.
    """
    said: list[str] = await page.evaluate(_SAID)
    written = re.compile("|".join(rf"\b{re.escape(one)}(?!\w)" for one in own) or "$^")
    return [text for text in said if _LATIN.search(_NAMES.sub("", written.sub("", text)))]


# `data-technical` marks what engineers read, `data-id` a number that people copy, and another
# `lang` words that are to be read in that language.
_SAID = """() => {
    const NO_WORDS = 'script, style, [data-technical], [data-id], [lang]:not([lang=hi])';
    const said = [document.title];
    for (const one of document.body.querySelectorAll('*')) {
        if (one.closest(NO_WORDS)) continue;
        const names = ['aria-label', 'aria-valuetext', 'placeholder', 'alt', 'title'];
        const isRead = !one.matches('[aria-hidden=true]');
        for (const name of isRead ? names : [])
            if (one.getAttribute(name)) said.push(one.getAttribute(name));
        for (const child of one.childNodes)
            if (child.nodeType === Node.TEXT_NODE) said.push(child.data.trim());
    }
    return said;
}"""
