"""What a label set may say, whichever door it came by; knows every limit, and words for what is beyond it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence

from clipsearch.errors import InvalidLabelSet, InvalidTemplate
from clipsearch.label_set import AGGREGATES, MODES, Example, Label, LabelSet
from clipsearch.prompts import MAX_LABEL, check_template, clean_text, plain_words

MAX_STORED_LABELS = 200_000
MAX_PROMPTS = 200
MAX_EXAMPLES = 1_000
MAX_PROMPT = 1_000
MAX_URI = 4_096
_LEAST = {"min_score": -1.0, "min_probability": 0.0, "min_margin": 0.0, "words_weight": 0.0}


def brief(value: object) -> str:
    """What a message says of a value that was read: its beginning, also of a number too long for Python to write."""
    try:
        return reprlib.repr(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return "a number of thousands of digits"


def draft_of(
    labels: Iterable[tuple[str, Iterable[str]]], templates: Iterable[str] = (), *, name: str = "the label set"
) -> LabelSet:
    """The checked plain set of names with their prompts; raises as ``checked``."""
    return checked(LabelSet.of(labels, templates), name=name)


def checked(label_set: LabelSet, *, name: str = "the label set", places: Sequence[str] = ()) -> LabelSet:
    """The set with its texts cleaned, its numbers as floats, and each prompt once.

    A label with neither prompts nor examples gets its name, as one would say it, for its prompt; so does one that
    weighs its words. ``places`` tells for each label where it stands, for messages. Raises InvalidLabelSet,
    InvalidTemplate, EmptyText, TextTooLong, InvalidInput.
    """
    if label_set.mode not in MODES:
        raise InvalidLabelSet(f"{name} has the mode {brief(label_set.mode)}; the modes are {', '.join(MODES)}")
    if label_set.aggregate not in AGGREGATES:
        raise InvalidLabelSet(
            f"{name} joins its prompts by {brief(label_set.aggregate)}; the ways are {', '.join(AGGREGATES)}"
        )
    labels = _labels(label_set, name, places)
    background = _texts(label_set.background, f"the background of {name}")
    return LabelSet(
        labels=labels,
        templates=_templates(label_set.templates, name),
        mode=label_set.mode,
        aggregate=label_set.aggregate,
        background=background,
        min_score=checked_number(label_set.min_score, "min_score", name),
        min_probability=checked_number(label_set.min_probability, "min_probability", name),
        min_margin=checked_number(label_set.min_margin, "min_margin", name),
    )


def _labels(label_set: LabelSet, name: str, places: Sequence[str]) -> tuple[Label, ...]:
    count = len(label_set.labels)
    if count > MAX_STORED_LABELS:
        raise InvalidLabelSet(f"{name} has {count} labels; the limit is {MAX_STORED_LABELS}")
    found: dict[str, Label] = {}
    seen: dict[str, int] = {}
    for position, label in enumerate(label_set.labels):
        one = _label(label, name)
        if one.name in found:
            where = f"{_place(places, seen[one.name])} and {_place(places, position)}"
            raise InvalidLabelSet(f"{name} names the label {one.name!r} twice ({where}); put its prompts together")
        found[one.name], seen[one.name] = one, position
    if not found:
        raise InvalidLabelSet(f"{name} holds no labels; a single choice needs at least two labels")
    if label_set.mode == "single" and count < 2 and not label_set.background:
        raise InvalidLabelSet(
            f"{name} needs at least two labels: a single one would always get the probability 1. "
            "Add what else it could be, or a background; or ask whether it is there at all in the mode binary"
        )
    return tuple(found.values())


def _place(places: Sequence[str], position: int) -> str:
    return places[position] if position < len(places) else f"label {position + 1}"


def _label(label: Label, name: str) -> Label:
    cleaned = clean_text(label.name, what=f"a label of {name}", limit=MAX_LABEL)
    what = f"the label {cleaned!r} of {name}"
    prompts = _texts(label.prompts, f"a prompt of {what}", MAX_PROMPTS)
    examples = _examples(label.examples, what)
    if label.words_weight is not None and not examples:
        raise InvalidLabelSet(f"{what} has a words_weight, but no examples to weigh its words against")
    if not prompts and (not examples or label.words_weight is not None):
        prompts = (plain_words(cleaned),)
    category = label.category
    return Label(
        name=cleaned,
        prompts=prompts,
        negatives=_texts(label.negatives, f"a negative of {what}", MAX_PROMPTS),
        category=None if category is None else clean_text(category, what=f"the category of {what}", limit=MAX_LABEL),
        words_weight=checked_number(label.words_weight, "words_weight", what),
        min_score=checked_number(label.min_score, "min_score", what),
        min_probability=checked_number(label.min_probability, "min_probability", what),
        examples=examples,
    )


def _texts(texts: Iterable[str], what: str, limit: int = MAX_PROMPTS) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(clean_text(str(text), what=what, limit=MAX_PROMPT) for text in texts))
    if len(found) > limit:
        raise InvalidLabelSet(f"{what}: there are {len(found)} prompts; the limit is {limit}")
    return found


def _templates(templates: Sequence[str], name: str) -> tuple[str, ...]:
    found = []
    for position, template in enumerate(templates, start=1):
        try:
            found.append(check_template(template))
        except InvalidTemplate as error:
            raise InvalidTemplate(f"{name}, template {position}: {error.message}") from error
    return tuple(dict.fromkeys(found))


def _examples(examples: Sequence[Example], what: str) -> tuple[Example, ...]:
    if len(examples) > MAX_EXAMPLES:
        raise InvalidLabelSet(f"{what} has {len(examples)} examples; the limit is {MAX_EXAMPLES}")
    for one in examples:
        unfit = "\x00" in one.uri or any("\ud800" <= letter <= "\udfff" for letter in one.uri)
        if not one.uri.strip() or len(one.uri) > MAX_URI or unfit:
            raise InvalidLabelSet(f"an example of {what} must name an image in 1 to {MAX_URI} characters of text")
        if one.digest and (len(one.digest) != 64 or set(one.digest) - set("0123456789abcdef")):
            raise InvalidLabelSet(f"the digest of the example {one.uri!r} of {what} is no SHA-256 in lower case")
    return tuple(dict.fromkeys(examples))


def checked_number(value: object, field: str, what: str) -> float | None:
    """A threshold or weight within its range: min_score -1 to 1, the others 0 to 1. Raises InvalidLabelSet."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidLabelSet(f"{field} of {what} is {brief(value)}, not a number")
    least = _LEAST[field]
    if not least <= value <= 1.0:  # nor for what is no number at all
        raise InvalidLabelSet(f"{field} of {what} is {brief(value)}; it lies between {least:g} and 1")
    return float(value)
