"""Asks before something is lost; knows that a script cannot answer."""

from __future__ import annotations

import sys

import click


def ask(question: str, yes: bool) -> None:
    """Go on only after a yes: by flag, or by hand on a terminal. Raises UsageError, Abort."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say so: --yes")
    click.confirm(question, abort=True, err=True)
