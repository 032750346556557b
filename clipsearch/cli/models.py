"""``clipsearch models``: which models there are, and how to have one at hand."""

from __future__ import annotations

import dataclasses
import json

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.options import json_option
from clipsearch.cli.printing import counted, note, print_json, print_table, say, shown


@click.group()
def models() -> None:
    """List, show and download models."""


@models.command("list")
@click.argument("pattern", required=False)
@click.option("--downloaded", is_flag=True, help="Only those that are on this machine.")
@json_option
def list_command(pattern: str | None, downloaded: bool, as_json: bool) -> None:
    """List the models that can be named, or those whose name holds PATTERN (with * and ? if you like)."""
    from clipsearch.encoder.catalogue import list_models

    found = [one for one in list_models(pattern) if one.downloaded or not downloaded]
    if as_json:
        print_json({"models": [dataclasses.asdict(one) for one in found]})
    elif found:
        rows = [
            (
                one.name,
                "yes" if one.downloaded else "",
                str(one.dimension),
                str(one.image_size or ""),
                one.source,
            )
            for one in found
        ]
        print_table(("model", "here", "dimension", "pixels", "source"), rows, numbers=("dimension", "pixels"))
    if not found:
        note("there is no such model")
        click.get_current_context().exit(NOTHING_FOUND)
    if not as_json:
        note(f"{counted(len(found), 'model')}; also hf-hub:organisation/name, and folders such as ./model")


@models.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model before it is downloaded."""
    from clipsearch.encoder.catalogue import describe_model

    found = describe_model(name)
    if as_json:
        print_json(found)
        return
    for title, value in found.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        say(f"{title.replace('_', ' ') + ':':16}{shown(text)}")


@models.command("download")
@click.argument("name")
def download(name: str) -> None:
    """Fetch a model, so that indexing needs no network."""
    from clipsearch.encoder.catalogue import download_model

    source = download_model(name, note)
    say(shown(source.name))
