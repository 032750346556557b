"""The label sets that come with clipsearch, as label files beside this one; used as ``builtin:NAME``."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files

from clipsearch.errors import LabelSetNotFound
from clipsearch.label_files import parse_labels
from clipsearch.label_set import LabelSet

PREFIX = "builtin:"


def is_built_in(name: str) -> bool:
    """Whether a label set's name means one of these."""
    return name.strip().startswith(PREFIX)


def built_in_names() -> tuple[str, ...]:
    """Their names without the prefix, in order."""
    return tuple(
        sorted(one.name.removesuffix(".yaml") for one in files(__name__).iterdir() if one.name.endswith(".yaml"))
    )


@cache
def built_in_label_set(name: str) -> LabelSet:
    """The set of this name, which may have the prefix. Raises LabelSetNotFound with those that there are."""
    plain = name.strip().removeprefix(PREFIX)
    names = built_in_names()
    if plain not in names:
        close = difflib.get_close_matches(plain, names, n=1)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else f"there are: {', '.join(names)}"
        raise LabelSetNotFound(f"there is no built-in label set {plain!r}; {hint}")
    text = (files(__name__) / f"{plain}.yaml").read_text(encoding="utf-8")
    return parse_labels(text, "yaml", f"{PREFIX}{plain}")
