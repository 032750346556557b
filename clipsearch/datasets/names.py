"""Texts to names of files and folders that every common file system takes; knows what each of them refuses."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 120  # bytes of UTF-8: half of what file systems take, so that a number and a suffix may follow
_REFUSED = re.compile(r'[<>:"/\\|?*]')
# Windows takes these for devices, whatever suffix follows.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe_name(text: str) -> str:
    """A name for a file or folder, as near to the text as may be: never empty, hidden, a device or a path.

    What no file system takes becomes an underscore; a name that is too long is cut, and ends with a part of its
    hash, so that two long names that begin alike stay two. The same text always gives the same name, and a name
    that is safe stays as it is.
    """
    plain = unicodedata.normalize("NFC", text)
    plain = "".join(letter if letter == " " or letter.isprintable() else "_" for letter in plain)
    plain = _REFUSED.sub("_", plain).strip(" ").rstrip(". ")
    if plain.startswith((".", "-", "~")) or _DEVICE.match(plain) or not plain:
        plain = f"_{plain}"
    return _shortened(plain, text)


def safe_file_name(text: str) -> str:
    """As ``safe_name``, and a name that is cut keeps its suffix."""
    stem, dot, suffix = text.rpartition(".")
    if not stem or not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", suffix):
        return safe_name(text)
    # Outside of the stem a suffix cannot be cut off; a stem that ends in a space or dot is none alone.
    return f"{safe_name(stem)}.{suffix}"


def _shortened(plain: str, text: str) -> str:
    whole = plain.encode()
    if len(whole) <= LONGEST:
        return plain
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = whole[: LONGEST - len(mark) - 1].decode("utf-8", "ignore").rstrip(". ")
    return f"{head}~{mark}"


class TakenNames:
    """Names that are given once in one folder: the second of its kind gets a number, in the order of asking.

    Names that differ in case or in the composition of their letters count as one: on some file systems they are.
    A name takes some 60 bytes of memory.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {_key(name) for name in taken}
        self._next: dict[int, int] = {}

    def take(self, name: str) -> str:
        """The name, or it with the first number that is free: ``cat.jpg``, ``cat-2.jpg``."""
        key = _key(name)
        if key not in self._taken:
            self._taken.add(key)
            return name
        stem, dot, suffix = name.rpartition(".")
        if not stem:
            stem, dot, suffix = name, "", ""
        number = self._next.get(key, 2)
        while (numbered := _key(f"{stem}-{number}{dot}{suffix}")) in self._taken:
            number += 1
        self._next[key] = number + 1
        self._taken.add(numbered)
        return f"{stem}-{number}{dot}{suffix}"


def class_folders(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """A folder's name for each class, in order, no two alike."""
    folders = TakenNames(taken)
    return [folders.take(safe_name(name)) for name in names]


def _key(name: str) -> int:
    # A number in place of a name: a million names of files are kept in the memory of their numbers.
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    return int.from_bytes(hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
