"""What a view asks of whoever calls it: a scope, said beside the view and found by the guard and the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from clipsearch.answers.access import SCOPES, Scope

__all__ = ["READING", "SCOPES", "Scope", "View", "is_open", "needs", "open_to_all", "scope_of"]

View = TypeVar("View", bound=Callable[..., Any])

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MARK = "clipsearch_scope"
_OPEN = "clipsearch_open"


def needs(scope: Scope) -> Callable[[View], View]:
    """Say what a view needs, where its method does not: a search by POST reads. Stands next to the function."""

    def mark(view: View) -> View:
        setattr(view, _MARK, scope)
        return view

    return mark


def open_to_all(view: View) -> View:
    """Say that a view asks nobody for a key, as signing in does not. Stands next to the function."""
    setattr(view, _OPEN, True)
    return view


def is_open(view: Callable[..., Any] | None) -> bool:
    """Whether this view asks nobody for a key."""
    return bool(getattr(view, _OPEN, False))


def scope_of(view: Callable[..., Any] | None, method: str) -> Scope:
    """What this view needs: what it says, else read for methods that change nothing, and write for the others."""
    said: Scope | None = getattr(view, _MARK, None)
    if said is not None:
        return said
    return "read" if method in READING else "write"
