"""Writes docs/reference/ from the code: every command, setting and route, so that none can be forgotten.

    python scripts/write_reference.py

The routes are those of docs/openapi.json, which a test holds against the running app.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from clipsearch.cli.commands import cli
from clipsearch.config import Settings
from clipsearch.environment import PREFIX

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
WIDTH = 100
BY_PLATFORM = "the platform's user data folder"
WRITTEN = "Written by `python scripts/write_reference.py`; a test compares it with the code."


def main() -> None:
    """Write the three pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The pages by the names of their files."""
    return {"commands.md": commands_page(), "settings.md": settings_page(), "routes.md": routes_page()}


def commands_page() -> str:
    """Every command with its own help."""
    lines = ["# Commands", "", WRITTEN, ""]
    # As the program makes it: a command keeps the names of its help option from the first time it is asked.
    whole = click.Context(cli, info_name="clipsearch", **cli.context_settings)
    for name, text in walk(cli, whole):
        lines += [f"## {name}", "", "```text", *text.rstrip().splitlines(), "```", ""]
    return _page(lines)


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """The command and all below it, with what ``--help`` says of each."""
    formatter = click.HelpFormatter(width=WIDTH)
    command.format_help(context, formatter)
    yield context.command_path, formatter.getvalue()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                below = click.Context(found, info_name=name, parent=context)
                yield from walk(found, below)


def settings_page() -> str:
    """Every setting with its default and its meaning."""
    opening = (
        "Flags win over the environment, the environment over `clipsearch.toml` in the working folder (or the file "
        "that `CLIPSEARCH_CONFIG` names), where the names stand in lower case without the prefix. Unknown names are "
        "errors. "
        "`clipsearch config show` tells what each one is now, and why."
    )
    lines = ["# Settings", "", WRITTEN, "", *textwrap.wrap(opening, 118), ""]
    lines += ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_cell(field.description or '')} |")
    return _page(lines)


def routes_page() -> str:
    """Every route with what it is for, what it asks of a key, and what it may answer."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["Other"])[0]
            row = (
                f"`{method.upper()} {path}`",
                _purpose(operation),
                _scope(operation),
                ", ".join(operation["responses"]),
            )
            by_tag.setdefault(tag, []).append(f"| {' | '.join(row)} |")
    lines = ["# Routes", "", WRITTEN, ""]
    opening = (
        "The whole description, with every field and its limits, is [openapi.json](../openapi.json); a server shows it "
        "at `/api/v1/docs`. The scope is what a key needs where the server asks for keys."
    )
    lines += [*textwrap.wrap(opening, 118), ""]
    for tag in sorted(by_tag):
        lines += [f"## {tag}", "", "| route | what it does | scope | answers |", "|---|---|---|---|", *by_tag[tag], ""]
    return _page(lines)


def _purpose(operation: dict[str, Any]) -> str:
    return _cell(operation.get("description") or operation.get("summary") or "")


def _scope(operation: dict[str, Any]) -> str:
    return str(operation.get("x-scope", "none"))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return BY_PLATFORM
    if value is None or value in ((), ""):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _page(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    main()
