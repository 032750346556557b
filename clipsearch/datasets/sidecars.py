"""Labels as keywords in an XMP file beside an image, as photo programs read it; it never opens the image itself.

The sidecar of ``beach.jpg`` is ``beach.jpg.xmp``. One that is there keeps every byte that it has: what is missing is
put into its lists of keywords, and only what an earlier export wrote under the same label set is taken out of the list
of hierarchical keywords. Plain keywords are never taken out: somebody may have typed the same word.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from clipsearch.datasets.rows import LabelledImage
from clipsearch.datasets.sidecar_text import RDF, Element, Name, read_text
from clipsearch.errors import InvalidInput

SUBJECT: Name = ("http://purl.org/dc/elements/1.1/", "subject")
HIERARCHY: Name = ("http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject")
_PREFIXES = {SUBJECT: "dc", HIERARCHY: "lr"}
_BAGS = [(RDF, "Bag"), (RDF, "Seq"), (RDF, "Alt")]
_ITEM: Name = (RDF, "li")
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
_EMPTY = f"""<?xpacket begin="{_MARK}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
LARGEST = 16 * 2**20
Outcome = Literal["written", "unchanged"]


@dataclass(frozen=True)
class Keywords:
    """The plain keywords of an image, and those below the name of a label set: ``animals|dog``."""

    plain: tuple[str, ...]
    below: str  # animals|

    @property
    def hierarchical(self) -> tuple[str, ...]:
        """As Lightroom writes them, the levels apart by a bar."""
        return tuple(f"{self.below}{word}" for word in self.plain)


def keywords_of(row: LabelledImage, label_set: str) -> Keywords:
    """The labels of an image as keywords; what XML cannot hold, and the bar between levels, is replaced."""
    words = dict.fromkeys(_word(label.cls.name) for label in row.labels)
    return Keywords(tuple(word for word in words if word), f"{_word(label_set)}|")


def _word(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.replace("|", "/").split())


def write_sidecar(path: str, keywords: Keywords) -> Outcome:
    """Write the keywords into the sidecar of the image at ``path``, in one step; whether there was anything to write.

    Raises InvalidInput, and leaves it as it is, for a sidecar that cannot be read or is a link.
    """
    place = Path(f"{path}.xmp")
    before = _text_of(place)
    if before is None and not keywords.plain:
        return "unchanged"
    after = with_keywords(_EMPTY.encode() if before is None else before, keywords)
    if after == before:
        return "unchanged"
    _replace(place, after)
    return "written"


def with_keywords(text: bytes, keywords: Keywords) -> bytes:
    """The text of a sidecar with these keywords in it. Raises InvalidInput for one that cannot be read."""
    wanted = [(SUBJECT, keywords.plain, None), (HIERARCHY, keywords.hierarchical, keywords.below)]
    for name, words, below in wanted:
        text = _with_list(text, name, words, below)
    return text


def _with_list(text: bytes, name: Name, words: Sequence[str], below: str | None) -> bytes:
    top = _read(text)
    graph = next(top.find((RDF, "RDF")), None)
    if graph is None:
        raise InvalidInput("holds no rdf:RDF, and so is no XMP")
    if any(name in element.attributes for element in graph.children):
        raise InvalidInput(f"holds {name[1]} in a form that no list has")
    found = next(graph.find(name), None)
    if found is None:
        return _with_new_list(text, graph, name, words) if words else text
    bag = next((child for child in found.children if child.name in _BAGS), None)
    if bag is None:
        raise InvalidInput(f"holds {name[1]} in a form that no list has")
    items = [child for child in bag.children if child.name == _ITEM]
    stale = [one for one in items if below and one.text.startswith(below) and one.text not in words]
    missing = [word for word in words if word not in {one.text for one in items}]
    return _edited(text, bag, stale, missing)


def _edited(text: bytes, bag: Element, stale: Iterable[Element], missing: Sequence[str]) -> bytes:
    # From the end of the text to its start, so that the places before stay what they are.
    prefix = bag.raw.rpartition(":")[0]
    item = f"{prefix}:li" if prefix else "li"
    lines = "".join(f"<{item}>{escape(word)}</{item}>\n" for word in missing).encode()
    if missing and bag.inner_end is None:
        opened = text[bag.start : bag.end].rstrip()[:-2].rstrip() + b">\n"
        text = text[: bag.start] + opened + lines + f"</{bag.raw}>".encode() + text[bag.end :]
    elif bag.inner_end is not None:
        text = text[: bag.inner_end] + lines + text[bag.inner_end :]
    for one in sorted(stale, key=lambda one: -one.start):
        end = one.end + 1 if text[one.end : one.end + 1] == b"\n" else one.end
        text = text[: one.start] + text[end:]
    return text


def _with_new_list(text: bytes, graph: Element, name: Name, words: Sequence[str]) -> bytes:
    # What an XMP says is of one thing; a description more is of it when it names the same.
    about = next((value for child in graph.children for key, value in child.attributes.items()
                  if key == (RDF, "about")), "")  # fmt: skip
    prefix, lines = _PREFIXES[name], "".join(f"    <rdf:li>{escape(word)}</rdf:li>\n" for word in words)
    added = (
        f"  <rdf:Description xmlns:rdf={quoteattr(RDF)} rdf:about={quoteattr(about)} "
        f"xmlns:{prefix}={quoteattr(name[0])}>\n"
        f"   <{prefix}:{name[1]}>\n    <rdf:Bag>\n{lines}    </rdf:Bag>\n   </{prefix}:{name[1]}>\n"
        "  </rdf:Description>\n"
    ).encode()
    if graph.inner_end is None:
        opened = text[graph.start : graph.end].rstrip()[:-2].rstrip() + b">\n"
        return text[: graph.start] + opened + added + f"</{graph.raw}>".encode() + text[graph.end :]
    return text[: graph.inner_end] + added + text[graph.inner_end :]


def _read(text: bytes) -> Element:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("is not written in UTF-8") from error
    return read_text(text)


def _text_of(place: Path) -> bytes | None:
    try:
        status = place.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput("is no file of its own, but a link or a folder")
        if status.st_size > LARGEST:
            raise InvalidInput("is too large for a sidecar")
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror or error}") from error


def _replace(place: Path, text: bytes) -> None:
    made = None
    try:
        number, made = tempfile.mkstemp(prefix=".", suffix=".xmp.partial", dir=place.parent)
        with os.fdopen(number, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # As readable as the sidecar was, or as the image is.
        like = place if place.exists() else Path(str(place).removesuffix(".xmp"))
        os.chmod(made, stat.S_IMODE(like.stat().st_mode) & 0o666)
        os.replace(made, place)
        made = None
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror or error}") from error
    finally:
        if made is not None:
            with suppress(OSError):
                os.unlink(made)
