"""``clipsearch config``: every setting with its value, and where that comes from; never with its secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import (
    encoder_options,
    flags_of,
    json_option,
    library_options,
    model_option,
    settings_from_flags,
)
from clipsearch.cli.printing import note, print_json, print_table, shown

if TYPE_CHECKING:
    from clipsearch.provenance import Provenance


@click.group()
def config() -> None:
    """Show the settings and where they come from."""


@config.command("show")
@click.option("--describe", is_flag=True, help="Say what each setting is for.")
@json_option
@model_option
@encoder_options
@library_options
def show(describe: bool, as_json: bool) -> None:
    """Show every setting, its value and where it comes from."""
    from clipsearch.config import Settings
    from clipsearch.environment import config_file
    from clipsearch.provenance import shown_settings, sources

    flags = dict(flags_of(click.get_current_context()))
    settings = settings_from_flags()
    if flags.pop("debug", False):
        flags["log_level"] = "debug"
    values, origins = shown_settings(settings), sources(flags)
    meant = {name: field.description or "" for name, field in Settings.model_fields.items()}
    if as_json:
        print_json({
            "settings": values,
            "from": {name: one.kind for name, one in origins.items()},
            "where": {name: one.where for name, one in origins.items()},
            "descriptions": meant,
        })  # fmt: skip
        return
    rows = [(name, _written(value), shown(_told(origins[name])), *([meant[name]] if describe else []))
            for name, value in values.items()]  # fmt: skip
    print_table(("setting", "value", "from", *(["what it is"] if describe else [])), rows)
    note(f"settings file: {shown(str(config_file()))}{'' if config_file().is_file() else ' (not there)'}")


def _told(origin: Provenance) -> str:
    return origin.where or origin.kind


def _written(value: Any) -> str:
    if isinstance(value, list):
        return shown(os.pathsep.join(map(str, value)))
    return "" if value is None else shown(str(value))
