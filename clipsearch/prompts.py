"""Labels and templates to prompts; knows that the place of a label in a template is written {}, and what is refused."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from clipsearch.errors import EmptyText, InvalidInput, InvalidLabelSet, InvalidTemplate, TextTooLong

PLACE = "{}"
PLAIN_TEMPLATE = PLACE
ARTICLE = "a(n) " + PLACE
DEFAULT_TEMPLATES = ("a photo of a {}.",)
MAX_TEXT = 10_000
MAX_LABEL = 200
_WORDNET_NUMBER = re.compile(r"^n[0-9]{8}[-_ ]+(?=\S)")
_SILENT = re.compile(r"(?:hour|honest|honou?r|heir)", re.IGNORECASE)
_CONSONANT = re.compile(r"(?:uni(?![nmd])|us[eu]|usa\b|usb\b|uk\b|uku|ut[eo]|eu|ewe|one\b|once)", re.IGNORECASE)


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


def check_set_name(name: str) -> str:
    """A label set's name, trimmed. Raises InvalidLabelSet for one that could not stand in a path."""
    name = name.strip()
    unfit = any(letter in "/\\\x00\n\r\t" or "\ud800" <= letter <= "\udfff" for letter in name)
    if not name or len(name) > MAX_LABEL or unfit or name in {".", ".."}:
        raise InvalidLabelSet(
            "a label set's name is 1 to 200 characters, without slashes and line breaks, and neither . nor .."
        )
    return name


def repeated_labels(names: Iterable[str]) -> list[str]:
    """A warning for every label that stands more than once."""
    return [
        f"the label {name!r} stands {count} times; its places are told apart by position"
        for name, count in Counter(names).items()
        if count > 1
    ]


def plain_words(name: str) -> str:
    """A label's name as one would say it: underscores as spaces, and without the WordNet number before it.

    "n02123045_tabby_cat" is "tabby cat". The name itself stays what it is.
    """
    words = " ".join(_WORDNET_NUMBER.sub("", name).replace("_", " ").split())
    return words or name


def fill(template: str, text: str) -> str:
    """The prompt: literal replacement, because labels may hold braces that str.format would read.

    A template that says "a(n) {}" gets the article that the text asks for.
    """
    if ARTICLE in template:
        template = template.replace(ARTICLE, f"{article(text)} {PLACE}")
    return template.replace(PLACE, text)


def article(text: str) -> str:
    """ "an" before a vowel that is heard, else "a"."""
    vowel = text[:1].lower() in tuple("aeiou") and not _CONSONANT.match(text)
    return "an" if vowel or _SILENT.match(text) else "a"


def prompts_of(texts: Sequence[str], templates: Sequence[str]) -> list[tuple[str, str]]:
    """Every (template, text) pair that stands for a label, in stable order and each once."""
    return list(dict.fromkeys((template, text) for text in texts for template in templates))
