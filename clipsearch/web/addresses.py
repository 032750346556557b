"""Reads what an address of the search view means; ``static/query.js`` writes such addresses and reads them alike."""

from __future__ import annotations

import datetime as dt
import re

from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from clipsearch.queries import Filters, Query, Term

Arguments = MultiDict[str, str]

_TERM = re.compile(r"(-?[0-9.]{1,20}),(text|image),(.+)", re.DOTALL)
_ID = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
MOST_PIXELS = 10**6
NO_QUERY = "That cannot be looked for: it is too long, no text, or no number where one belongs."


def read_terms(arguments: Arguments) -> tuple[Term, ...]:
    """What is looked for; nothing where the images are to be listed. Raises ValueError for what no term can be."""
    text = arguments.get("q", "").strip()
    similar = _number(arguments, "similar")
    found = [Term(text=text)] if text else []
    found += [Term(image_id=similar)] if similar is not None else []
    for one in arguments.getlist("term"):
        match = _TERM.fullmatch(one)
        # A picture that was uploaded is not in its address.
        if match is None or (match[2] == "image" and not _ID.fullmatch(match[3])):
            continue
        weight = max(-100.0, min(100.0, float(match[1])))
        held = {"text": match[3]} if match[2] == "text" else {"image_id": int(match[3])}
        found.append(Term(**held, weight=weight))
    return tuple(found)


def read_filters(arguments: Arguments) -> Filters:
    """Which images may be shown. Raises ValueError for what no filter can be."""
    contains = arguments.get("contains", "")
    return Filters.model_validate(
        {
            "path_prefix": arguments.get("folder") or None,
            "path_glob": f"*{contains}*" if contains else None,
            "taken_from": _day(arguments, "from"),
            "taken_to": _day(arguments, "to"),
            "formats": tuple(arguments.getlist("format")) or None,
            "tags": tuple(arguments.getlist("tag")) or None,
            "min_width": _pixels(arguments, "min_width"),
            "min_height": _pixels(arguments, "min_height"),
        }
    )


def read_query(arguments: Arguments, k: int) -> Query | None:
    """The query, or None where nothing is looked for. Raises ValueError with words for people."""
    try:
        terms = read_terms(arguments)
        if not terms:
            return None
        sort = arguments.get("sort")
        return Query.model_validate(
            {
                "terms": terms,
                "filters": read_filters(arguments),
                "k": k,
                "relevance": True,
                "sort": sort if sort in {"newest", "oldest"} else "relevance",
                "collapse_duplicates": arguments.get("collapse") == "1",
                **_cut(arguments),
            }
        )
    except ValidationError as error:
        raise ValueError(NO_QUERY) from error


def _cut(arguments: Arguments) -> dict[str, object]:
    if arguments.get("all") == "1":
        return {}
    try:
        return {"min_score": max(-1.0, min(1.0, float(arguments["min_score"])))}
    except (KeyError, ValueError):
        return {"auto_cut": True}


def _number(arguments: Arguments, name: str) -> int | None:
    given = arguments.get(name, "")
    return int(given) if _ID.fullmatch(given) else None


def _pixels(arguments: Arguments, name: str) -> int | None:
    number = _number(arguments, name)
    return number if number is not None and number <= MOST_PIXELS else None


def _day(arguments: Arguments, name: str) -> str | None:
    given = arguments.get(name, "")
    try:
        # There is no 31st of June.
        return dt.date.fromisoformat(given).isoformat() if _DAY.fullmatch(given) else None
    except ValueError:
        return None
