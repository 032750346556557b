"""Labels and templates to prompts; knows that the place of a label in a template is written {}."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from clipsearch.errors import EmptyText, InvalidInput, InvalidTemplate, TextTooLong

PLACE = "{}"
PLAIN_TEMPLATE = PLACE
DEFAULT_TEMPLATES = ("a photo of a {}.",)
MAX_TEXT = 10_000
MAX_LABEL = 200


def clean_text(text: str, *, what: str = "the query", limit: int = MAX_TEXT) -> str:
    """The text in Unicode's composed form without white space around it.

    Raises EmptyText when nothing is left, TextTooLong beyond ``limit`` characters, InvalidInput for characters
    that cannot be stored.
    """
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"{what} holds characters that are no text (a NUL or half of a surrogate pair)")
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise EmptyText(f"{what} is empty: say what to look for in a few words")
    if len(text) > limit:
        raise TextTooLong(f"{what} has {len(text)} characters; the limit is {limit}")
    return text


def check_template(template: str) -> str:
    """The template, cleaned. Raises InvalidTemplate unless it holds its place exactly once."""
    cleaned = clean_text(template, what="the template", limit=1_000)
    if cleaned.count(PLACE) != 1:
        raise InvalidTemplate(f"the template {template!r} must hold {PLACE} once, where the label goes")
    return cleaned


def fill(template: str, text: str) -> str:
    """The prompt: literal replacement, because labels may hold braces that str.format would read."""
    return template.replace(PLACE, text)


def prompts_of(texts: Sequence[str], templates: Sequence[str]) -> list[tuple[str, str]]:
    """Every (template, text) pair that stands for a label, in stable order and each once."""
    return list(dict.fromkeys((template, text) for text in texts for template in templates))
