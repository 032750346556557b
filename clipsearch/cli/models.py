"""``clipsearch models``: which models there are, how to have one at hand, and those of a collection."""

from __future__ import annotations

import dataclasses
import json

import click

from clipsearch.cli import NOTHING_FOUND, collection_models
from clipsearch.cli.options import collection_option, json_option, library_options, open_library, settings_from_flags
from clipsearch.cli.printing import counted, note, print_json, print_table, say, shown


@click.group()
def models() -> None:
    """List, show, download and calibrate models; add one to a collection, and switch to it."""


for command in (collection_models.add, collection_models.of, collection_models.switch, collection_models.remove):
    models.add_command(command)


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
@library_options
def show(name: str, as_json: bool) -> None:
    """Show what is known of a model before it is loaded, and what may run it in this library."""
    from clipsearch.encoder.catalogue import describe_model
    from clipsearch.encoder.runtimes import describe_runtimes

    settings = settings_from_flags()
    found = describe_model(name)
    found["runtimes"] = {"asked": settings.runtime, **describe_runtimes(name, settings.data_dir / "runtimes")}
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


@models.command("calibrate")
@collection_option
@click.option("--images", type=click.IntRange(min=60), default=300, show_default=True, help="How many to take.")
@json_option
@library_options
def calibrate(collection: str | None, images: int, as_json: bool) -> None:
    """Calibrate a collection's model for int8 by its images, and check what that does to them.

    A third of the images calibrates, the others check. Where the check passes, --dtype int8 (CLIPSEARCH_DTYPE) may be
    used with this library; it is never used unasked.
    """
    from clipsearch.calibrating import calibrate as run_calibration

    with open_library() as library:
        report = run_calibration(library, collection, images=images, progress=note)
    if as_json:
        print_json(report)
    else:
        say(f"{shown(report.model)}: {'passed' if report.passed else 'did not pass'}")
        say(f"{'neighbours kept':18}{report.overlap:.3f}")
        say(f"{'labels kept':18}{report.agreement:.3f}")
        note(f"calibrated by {report.images} images and checked by {report.checked} others against {report.reference}")
    if report.passed:
        note("int8 may be used now: --dtype int8, or CLIPSEARCH_DTYPE=int8")
    else:
        note("int8 stays off: this model loses too much by it")
        click.get_current_context().exit(NOTHING_FOUND)
