"""The order in which hits are told; knows that what is sorted by date is the best of the matches, never all images."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from clipsearch.queries import Query
from clipsearch.searching.duplicates import Found

# So many of the best matches are sorted by date, or put into groups.
WINDOW = 1_000
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


def windowed(query: Query) -> bool:
    """Whether the query looks at a window of its best matches, and not at their beginning."""
    return query.sort != "relevance" or query.group_by is not None


def wanted(query: Query) -> int:
    """How many of the best matches the answer is made of."""
    return WINDOW if windowed(query) else query.offset + query.k


def in_order(found: Sequence[Found], query: Query) -> list[Found]:
    """Matches, best first, in the order that the query asks for; equal dates by relevance, and without a date last."""
    if query.sort == "relevance":
        return list(found)
    dated = [one for one in found if _date(one) != _NEVER]
    undated = [one for one in found if _date(one) == _NEVER]
    # Stable also when it is reversed: equal dates stay as they were.
    return [*sorted(dated, key=_date, reverse=query.sort == "newest"), *undated]


def _date(found: Found) -> dt.datetime:
    return found.image.taken_at or found.image.modified_at or _NEVER
