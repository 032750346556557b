"""Reads where things stand in an XMP text, so that words can be put in without touching anything else.

Nothing that the text could ask for is fetched or expanded: a document type, the only place from where XML can, is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from clipsearch.errors import InvalidInput

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
DEEPEST = 100
Name = tuple[str, str]  # namespace and local name


@dataclass
class Element:
    """An element with its place in the text: ``start`` and ``end`` are byte offsets of the whole of it, ``inner_end``
    that of its end tag, None where the element is empty and closes itself."""

    name: Name
    raw: str
    attributes: dict[Name, str]
    start: int
    end: int = 0
    inner_end: int | None = None
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, name: Name) -> Iterator[Element]:
        """Itself and all below that have this name, in the order of the text."""
        if self.name == name:
            yield self
        for child in self.children:
            yield from child.find(name)


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._parser = expat.ParserCreate("UTF-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._say
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.XmlDeclHandler = self._declare
        self._open: list[Element] = []
        self._spaces: list[dict[str, str]] = [{"xml": XML}]
        self.top: Element | None = None

    def read(self) -> Element:
        try:
            self._parser.Parse(self._text, True)
        except expat.ExpatError as error:
            raise InvalidInput(f"is no XML that can be read: {error}") from error
        if self.top is None:
            raise InvalidInput("holds no element")
        return self.top

    def _refuse(self, *_declared: object) -> None:
        raise InvalidInput("declares a document type, which no XMP has")

    def _declare(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in {"utf-8", "us-ascii"}:
            raise InvalidInput(f"is written in {encoding}, not in UTF-8")

    def _begin(self, raw: str, given: dict[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise InvalidInput("is nested too deeply")
        spaces = self._spaces[-1] | {
            name.partition(":")[2]: value for name, value in given.items() if name == "xmlns" or name[:6] == "xmlns:"
        }
        self._spaces.append(spaces)
        attributes = {self._name(name, spaces, attribute=True): value for name, value in given.items()}
        element = Element(self._name(raw, spaces), raw, attributes, self._parser.CurrentByteIndex)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.top = element
        self._open.append(element)

    def _finish(self, _raw: str) -> None:
        element = self._open.pop()
        self._spaces.pop()
        element.end = _tag_end(self._text, element.start)
        if self._text[element.end - 2 : element.end] != b"/>":
            element.inner_end = self._parser.CurrentByteIndex
            element.end = _tag_end(self._text, element.inner_end)

    def _say(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    @staticmethod
    def _name(raw: str, spaces: dict[str, str], *, attribute: bool = False) -> Name:
        prefix, colon, local = raw.rpartition(":")
        if not colon:
            return ("" if attribute else spaces.get("", ""), local)
        return (spaces.get(prefix, prefix), local)


def read_text(text: bytes) -> Element:
    """The outermost element of a UTF-8 text. Raises InvalidInput for what is no XML, or is unsafe."""
    return _Reader(text).read()


def _tag_end(text: bytes, start: int) -> int:
    quote = None
    for place in range(start, len(text)):
        letter = text[place : place + 1]
        if quote is None and letter == b">":
            return place + 1
        if letter in (b'"', b"'"):
            quote = None if quote == letter else quote or letter
    raise InvalidInput("ends within a tag")
