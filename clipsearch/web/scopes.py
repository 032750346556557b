"""What a view asks of whoever calls it: a scope, said beside the view and found by the guard and the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

Scope = Literal["read", "write", "admin"]
View = TypeVar("View", bound=Callable[..., Any])

SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MARK = "clipsearch_scope"


def needs(scope: Scope) -> Callable[[View], View]:
    """Say what a view needs, where its method does not: a search by POST reads. Stands next to the function."""

    def mark(view: View) -> View:
        setattr(view, _MARK, scope)
        return view

    return mark


def scope_of(view: Callable[..., Any] | None, method: str) -> Scope:
    """What this view needs: what it says, else read for methods that change nothing, and write for the others."""
    said: Scope | None = getattr(view, _MARK, None)
    if said is not None:
        return said
    return "read" if method in READING else "write"
