"""Where a page of a list ended: the orders that images are listed in, and what the next page is asked with.

To those who page through a list a cursor is a text without meaning; in the order of ids it is an id.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Order: TypeAlias = Literal["id", "newest", "oldest"]
LARGEST_ID = 2**63 - 1
_BY_ID = re.compile(r"[0-9]{1,19}")
_BY_DATE = re.compile(r"(newest|oldest)\.(none|-?[0-9]{1,18})\.([0-9]{1,19})")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Cursor:
    """The last image of a page: its id, and, in an order by date, when it was taken (None where nobody knows)."""

    order: Order = "id"
    image_id: int = 0
    when: dt.datetime | None = None

    @property
    def text(self) -> int | str:
        """What is answered as ``next``."""
        if self.order == "id":
            return self.image_id
        when = "none" if self.when is None else str((self.when - _EPOCH) // dt.timedelta(microseconds=1))
        return f"{self.order}.{when}.{self.image_id}"


def read_cursor(text: str | int, order: Order) -> Cursor | None:
    """The cursor that someone gives as ``after``; None for the beginning. Raises ValueError for one that is none."""
    text = str(text)
    if text in ("", "0"):
        return None
    if order == "id" and _BY_ID.fullmatch(text) and int(text) <= LARGEST_ID:
        return Cursor("id", int(text))
    found = _BY_DATE.fullmatch(text)
    if found is None or found[1] != order or int(found[3]) > LARGEST_ID:
        raise ValueError(f"must be the next of a page in the order {order}, or be left out")
    try:
        when = None if found[2] == "none" else _EPOCH + dt.timedelta(microseconds=int(found[2]))
    except OverflowError as error:
        raise ValueError("names a time outside the calendar") from error
    return Cursor(order, int(found[3]), when)
