"""The columns of a foreign table as an image's uri and attributes; knows what does not fit, and says so."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipsearch.attributes import LARGEST, MAX_ATTRIBUTES, MAX_BYTES
from clipsearch.images import uri_of

# What is told first is what is kept where not all can be.
_FIRST = ("url", "caption", "image_path")
_LONGEST_NAME = 64
_LONGEST_TEXT = 2_000
_MOST_IN_LIST = 256
# As long as both databases can index.
LONGEST_URI = 2_000
_UNFIT_IN_NAME = re.compile(r"[\x00-\x1f\x7f:=\ud800-\udfff]")
_UNFIT_IN_TEXT = re.compile(r"[\x00\ud800-\udfff]")

CUT = "texts beyond 2,000 characters that were cut"
LEFT_OUT = "columns that were left out, for an image has 64 attributes of 16,000 bytes at most"


class Columns:
    """Makes uris and attributes of rows, and counts what was lost."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._seen: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def uri(self, row: Mapping[str, Any]) -> str | None:
        """The url of an image, else its path; a name that stood before gets a number. None where there is none."""
        name = next((row[column] for column in ("url", "image_path") if _usable(row.get(column))), None)
        if name is None:
            return None
        uri = str(name) if _usable(row.get("url")) else self._path(str(name))
        self._seen[uri] += 1
        return uri if self._seen[uri] == 1 else f"{uri}#{self._seen[uri]}"

    def _path(self, name: str) -> str:
        if self._root is not None and not Path(name).is_absolute():
            return uri_of(self._root / name)
        return name

    def attributes(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that hold something, as they may be kept."""
        names = dict.fromkeys((*(name for name in _FIRST if name in row), *row))
        found: dict[str, Any] = {}
        for name in names:
            value = self._value(row[name])
            known = _UNFIT_IN_NAME.sub("_", str(name)).strip()[:_LONGEST_NAME].strip()
            if value is None or not known:
                continue
            if len(found) == MAX_ATTRIBUTES or _size(found | {known: value}) > MAX_BYTES:
                self.lost[LEFT_OUT] += 1
                continue
            found[known] = value
        return found

    def _value(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) <= LARGEST else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return [self._text(one) for one in value[:_MOST_IN_LIST]] or None
        if isinstance(value, list | dict):
            return self._text(json.dumps(value, ensure_ascii=False, default=str))
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return None if value is None or value == "" else self._text(str(value))

    def _text(self, text: str) -> str:
        if len(text) > _LONGEST_TEXT:
            self.lost[CUT] += 1
        return _UNFIT_IN_TEXT.sub("�", text[:_LONGEST_TEXT])


def _usable(value: Any) -> bool:
    return (
        isinstance(value, str)
        and bool(value.strip())
        and not _UNFIT_IN_TEXT.search(value)
        and len(value.encode()) <= LONGEST_URI
    )


def _size(attributes: Mapping[str, Any]) -> int:
    return len(json.dumps(attributes, ensure_ascii=False).encode())
