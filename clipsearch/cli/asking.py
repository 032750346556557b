"""Asks before something is lost; knows that a script cannot answer."""

from __future__ import annotations

import sys

import click

from clipsearch.cli.printing import note


def ask(question: str, yes: bool) -> None:
    """Go on only after a yes: by flag, or by hand on a terminal. Raises UsageError, Abort, and Exit after a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say so: --yes")
    if not click.confirm(question, err=True):
        note("nothing was changed")
        raise click.exceptions.Exit(1)
