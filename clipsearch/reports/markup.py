"""Builds HTML and SVG out of elements; alone knows how text is escaped, and lets no text through that is not."""

from __future__ import annotations

import html
import re

# What no HTML document may hold, and halves of surrogate pairs, which no UTF-8 can.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_EMPTY = frozenset({"br", "img", "link", "meta"})

Value = str | int | float | bool | None


class Markup(str):
    """Text that is markup already, made by this module alone."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """The text as it may stand between tags and in quoted attributes; markup stays as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_UNFIT.sub("\ufffd", text), quote=True))


def joined(*parts: str | None) -> Markup:
    """The parts one after the other, each escaped; None is left out."""
    return Markup("".join(escaped(part) for part in parts if part is not None))


def element(name: str, /, *children: str | None, **attributes: Value) -> Markup:
    """One element with its children, each escaped.

    In attribute names ``_`` stands for ``-`` and at the end for nothing (``class_``). None and False leave an
    attribute out, True gives it without a value, numbers are written with up to three decimals.
    """
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def style_sheet(text: str) -> Markup:
    """A style element; its text is ours and stands unescaped, as HTML wants it."""
    return Markup(f"<style>{text}</style>")


def document(*, head: Markup, body: Markup) -> str:
    """A whole HTML document in English."""
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def rounded(value: float) -> str:
    """A number for an attribute: up to three decimals, no zeros behind."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = rounded(value) if isinstance(value, float) else str(value)
    return f' {name}="{escaped(text)}"'
