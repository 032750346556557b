"""From what people type to the terms of a query; knows when an argument is a picture and when it is words."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.printing import note, shown
from clipsearch.cli.words import in_words

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.queries import Filters, Term

_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
_PATH_STARTS = ("./", "../", "/", "~")
# As many bytes of a picture as a server takes where nothing else is set (CLIPSEARCH_MAX_UPLOAD_BYTES).
MAX_SENT = 20_000_000


@dataclass(frozen=True)
class Part:
    """One part of a query as it was typed, not checked yet: words, a picture, a stored image or a vector."""

    text: str | None = None
    image: bytes | Path | None = None
    stored: str | None = None
    vector: Any = None
    weight: float = 1.0

    def term(self, library: Library | None, collection: str | None) -> Term:
        """The term of a query; without a library any image stands for a stored one. Raises ImageNotFound."""
        from clipsearch.queries import Term

        if self.stored is not None:
            if library is None:
                return Term(image_id=1)
            from clipsearch.browsing import show_image

            return Term(image_id=show_image(library, image_named(self.stored), collection=collection).id)
        given = {"text": self.text, "image": self.image, "vector": self.vector}
        with in_words():
            return Term.model_validate({**given, "weight": self.weight})

    def body(self) -> dict[str, Any] | None:
        """The term as the API takes it; None for one that only this process can find, or read."""
        if self.text is not None:
            return {"text": self.text, "weight": self.weight}
        if self.vector is not None:
            return {"vector": self.vector, "weight": self.weight}
        if self.stored is not None:
            number = image_named(self.stored)
            return {"image_id": number} if isinstance(number, int) else None
        return self._picture()

    def _picture(self) -> dict[str, Any] | None:
        from base64 import b64encode

        try:
            data = self.image if isinstance(self.image, bytes) else _read_at_most(self.image, MAX_SENT)
        except OSError:
            return None
        if data is None or len(data) > MAX_SENT:
            return None
        return {"image": b64encode(data).decode("ascii"), "weight": self.weight}


def term_of(argument: str, weight: float = 1.0) -> Part:
    """A picture where the argument names a file, or looks like the path of one; else words.

    ``-`` is a picture on stdin. Raises NotFound for the path of a picture that is not there.
    """
    from clipsearch.errors import NotFound
    from clipsearch.images import IMAGE_SUFFIXES

    if argument == "-":
        return image_term(argument, weight)
    path = Path(os.path.expanduser(argument)) if "\0" not in argument and len(argument) < 4_096 else None
    is_image_name = path is not None and path.suffix.lower() in IMAGE_SUFFIXES
    if path is not None and _is_file(path):
        return image_term(argument, weight)
    if path is not None and argument.startswith(_PATH_STARTS):
        if is_image_name:
            raise NotFound(f"there is no file {argument} (to search for these words, put --text before them)")
        if os.path.isdir(path):
            raise click.UsageError(f"{argument} is a folder; to search only in it: --path-prefix {argument}")
    if is_image_name:
        note(f"there is no file {shown(argument)}: searching for these words")
    return text_term(argument, weight)


def text_term(text: str, weight: float = 1.0) -> Part:
    """Words."""
    return Part(text=text, weight=weight)


def image_term(argument: str, weight: float = 1.0) -> Part:
    """A picture: a file, or stdin for ``-``. Raises NotFound."""
    from clipsearch.errors import NotFound

    if argument == "-":
        return Part(image=sys.stdin.buffer.read(), weight=weight)
    path = Path(os.path.expanduser(argument))
    if not _is_file(path):
        raise NotFound(f"there is no file {argument}")
    return Part(image=path, weight=weight)


def weighted_term(argument: str, sign: float) -> Part:
    """``2:golden retriever``, ``0.5:./pool.jpg``, or one without a weight, which is 1."""
    found = _WEIGHT.fullmatch(argument)
    if found and not _is_file(Path(argument)):
        return term_of(found[2].strip(), sign * float(found[1]))
    return term_of(argument, sign)


def stored_term(argument: str) -> Part:
    """An image of the collection, by id, path or uri."""
    return Part(stored=argument)


def image_named(argument: str) -> int | str:
    """What ``browsing`` takes for an image: its id, or its uri or path."""
    if argument.isascii() and argument.isdecimal() and len(argument) < 19:
        return int(argument)
    try:
        argument.encode()
    except UnicodeEncodeError:  # a name that is not Unicode: no database takes it as it stands
        from clipsearch.images import uri_of

        return uri_of(argument)
    return argument


def vector_term(argument: str) -> Part:
    """``FILE.npy``, ``FILE.npy:ROW`` or a JSON file with a list of numbers. Raises NotFound, InvalidInput."""
    from clipsearch.errors import InvalidInput, NotFound

    name, row = argument, None
    if not _is_file(Path(name)) and (found := re.fullmatch(r"(.+):(\d+)", argument)):
        name, row = found[1], int(found[2])
    path = Path(os.path.expanduser(name))
    if not _is_file(path):
        raise NotFound(f"there is no file {name}")
    if path.suffix.lower() == ".npy":
        numbers = _numbers_of_npy(path, row)
    else:
        try:
            numbers = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{name} is neither an .npy file nor JSON: {error}") from error
    return Part(vector=numbers)


def _numbers_of_npy(path: Path, row: int | None) -> Sequence[float]:
    import numpy as np

    from clipsearch.errors import InvalidInput

    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{path} is no .npy file of numbers: {error}") from error
    if array.ndim == 2 and (row is not None or len(array) == 1):
        row = row or 0
        if row >= len(array):
            raise InvalidInput(f"{path} has {len(array)} rows; the last one is {path}:{len(array) - 1}")
        array = array[row]
    elif array.ndim == 2:
        raise InvalidInput(f"{path} holds {len(array)} rows; say which one: {path}:0")
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise InvalidInput(f"{path} must hold one row of numbers, not {array.dtype} {array.shape}")
    return [float(number) for number in array]


def filters_from(**given: object) -> Filters:
    """The filters as the options of ``filter_options`` give them."""
    from clipsearch.queries import Filters

    with in_words():
        return Filters.model_validate(filter_values(**given))


def filter_values(**given: object) -> dict[str, Any]:
    """The same, not checked: names and values as both ``queries.Filters`` and the API know them."""
    formats = given.get("formats")
    names = [name for one in formats for name in one.split(",")] if isinstance(formats, tuple) else []
    prefix = given.get("path_prefix")
    glob = given.get("path_glob")
    if isinstance(glob, str) and glob.startswith(("./", "../", "~/")):
        from clipsearch.images import absolute

        glob = absolute(os.path.expanduser(glob))
    whole = {"formats": tuple(names) or None, "path_prefix": _prefix(prefix), "path_glob": glob}
    lines = given.get("attributes")
    attributes = attributes_from(lines) if isinstance(lines, tuple) and lines else None
    return {**given, **whole, "tags": given.get("tags") or None, "attributes": attributes}


def attributes_from(lines: Sequence[str]) -> dict[str, Any]:
    """Names and values as they are written, NAME=VALUE; what they may be is checked by others."""
    if not lines:
        return {}
    from clipsearch.attributes import pairs

    try:
        return pairs(lines, "=")
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _prefix(value: object) -> str | None:
    """A prefix that names a place on this disk becomes absolute, as uris are; any other stays as it stands."""
    if not isinstance(value, str):
        return None
    path = Path(os.path.expanduser(value))
    if value.startswith(("./", "../", "~", "/")) or value in {".", ".."} or os.path.exists(path):
        from clipsearch.images import uri_of

        return uri_of(path) + ("/" if value.endswith("/") and path != Path("/") else "")
    return value


def _read_at_most(path: Path | None, count: int) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read(count + 1)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or one that no file can have
        return False


def is_stored_file(argument: str) -> bool:
    """Whether the argument is a file, for a hint."""
    return _is_file(Path(os.path.expanduser(argument)))
