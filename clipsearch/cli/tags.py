"""``clipsearch tags``: apply label sets to what a collection holds, and see what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.label_making import tell_warnings, warnings_of_model
from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    json_option,
    library_options,
    open_library,
    yes_option,
)
from clipsearch.cli.printing import counted, note, print_json, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import TagCountsInfo, TaggingInfo, TaggingReport
    from clipsearch.library import Library

_NUMBERS = ("images", "share")


@click.group()
def tags() -> None:
    """Label all images of a collection, and keep the labels in step."""


@tags.command("apply")
@click.argument("label_set", metavar="SET")
@click.option("--top", type=click.IntRange(1, 100), default=3, show_default=True, metavar="N", help="Labels an image.")
@click.option("--automatic/--no-automatic", default=True, help="Also tag new images as they are indexed.")
@collection_option
@json_option
@encoder_options
@library_options
def apply(label_set: str, top: int, automatic: bool, collection: str | None, as_json: bool) -> None:
    """Tag every image that has no tags of SET as it is now.

    No picture is opened. A run that is cut short goes on where it stopped.
    """
    from clipsearch.cli.progress import progress_shown
    from clipsearch.indexing import Progress
    from clipsearch.tagging import tag_collection

    with open_library() as library, progress_shown() as tell:
        report = tag_collection(
            library,
            label_set,
            collection=collection,
            top=top,
            automatic=automatic,
            on_progress=lambda done, total: tell(Progress("tagging", done, total)),
        )
        warnings = [] if as_json else warnings_of_model(library, label_set, collection)
    if as_json:
        print_json(report)
        return
    rate = f" ({report.tagged / report.seconds:,.0f} a second)" if report.tagged and report.seconds >= 1 else ""
    anew = "; the tags of an older version were removed" if report.anew else ""
    name = f"{shown(report.label_set)!r}, version {report.label_set_version}"
    say(
        f"{counted(report.tagged, 'image')} tagged with {name}, in {report.seconds:.1f} s{rate}; "
        f"{report.unchanged:,} had their tags{anew}"
    )
    _tell_waiting(report)
    tell_warnings(warnings)


def _tell_waiting(report: TaggingReport) -> None:
    if report.waiting:
        note(f"{counted(report.waiting, 'image')} not tagged with {shown(report.label_set)!r}, for want of an "
             "embedding: index the folder again")  # fmt: skip


@tags.command("show")
@click.argument("label_set", metavar="SET")
@click.option("--min-tag-score", type=float, metavar="X", help="Count tags from this cosine on.")
@click.option("--min-tag-probability", type=float, metavar="P", help="Count tags from this probability on.")
@collection_option
@json_option
@library_options
def show(
    label_set: str,
    min_tag_score: float | None,
    min_tag_probability: float | None,
    collection: str | None,
    as_json: bool,
) -> None:
    """Show how many images bear each label of SET, by its thresholds as they are now."""
    from clipsearch.tagging import show_tags

    with open_library() as library:
        found = show_tags(
            library, label_set, collection=collection, min_score=min_tag_score, min_probability=min_tag_probability
        )
    if as_json:
        print_json(found)
    else:
        _tell_counts(found)


def _tell_counts(found: TagCountsInfo) -> None:
    whole = max(1, found.tagging.tagged)
    for heading, pairs in (
        ("label", [(one.label, one.images) for one in found.labels]),
        ("category", [(one.category, one.images) for one in found.categories]),
    ):
        if pairs:
            rows = [(name, f"{images:,}", f"{images / whole:.1%}") for name, images in pairs]
            print_table((heading, *_NUMBERS), rows, numbers=_NUMBERS)
            say()
    say(f"{found.rejected:,} of {counted(found.tagging.tagged, 'image')} bear none of the labels")
    if waiting := found.tagging.images - found.tagging.tagged:
        note(f"{counted(waiting, 'image')} wait to be tagged: clipsearch tags apply {shown(found.tagging.label_set)}")


@tags.command("list")
@collection_option
@json_option
@library_options
def list_command(collection: str | None, as_json: bool) -> None:
    """List the label sets that are applied to a collection."""
    from clipsearch.tagging import list_taggings

    with open_library() as library:
        found = list_taggings(library, collection=collection)
    if as_json:
        print_json({"taggings": [one.model_dump(mode="json") for one in found]})
    elif found:
        print_table(
            ("label set", "version", "mode", "images", "tagged", "automatic", "state"),
            [_row(one) for one in found],
            numbers=("images", "tagged"),
        )
    else:
        note("no label set is applied to this collection; apply one: clipsearch tags apply SET")
        click.get_current_context().exit(NOTHING_FOUND)


def _row(one: TaggingInfo) -> Sequence[str]:
    version = (
        str(one.version_made) if one.version_made == one.version_now else f"{one.version_made} of {one.version_now}"
    )
    automatic = "yes" if one.automatic else "no"
    return one.label_set, version, one.mode, f"{one.images:,}", f"{one.tagged:,}", automatic, one.why_stale or "holds"


@tags.command("remove")
@click.argument("label_set", metavar="SET")
@yes_option
@collection_option
@json_option
@library_options
def remove(label_set: str, yes: bool, collection: str | None, as_json: bool) -> None:
    """Remove the tags of SET from a collection, and stop applying it. Reviews stay."""
    from clipsearch.cli.asking import ask
    from clipsearch.tagging import untag

    with open_library() as library:
        name = library.collection(collection).name
        ask(f"remove the tags of {shown(label_set)!r} from the collection {shown(name)!r}?", yes)
        images = untag(library, label_set, collection=collection)
    if as_json:
        print_json({"removed": label_set, "images": images})
    else:
        say(f"the tags of {counted(images, 'image')} were removed")


def refresh(library: Library, collection: str | None) -> list[TaggingReport]:
    """Tag what is new with every set that is applied automatically, and say so beside the answer."""
    from clipsearch.cli.progress import progress_shown
    from clipsearch.indexing import Progress
    from clipsearch.tagging import refresh_tags, will_refresh

    if not will_refresh(library, collection):
        return []
    with progress_shown() as tell:
        reports = refresh_tags(
            library, collection, on_progress=lambda done, total: tell(Progress("tagging", done, total))
        )
    for report in reports:
        if report.problem is not None:
            note(f"not tagged with {shown(report.label_set)!r}: {shown(report.problem)}")
        elif report.tagged:
            note(f"{counted(report.tagged, 'image')} tagged with {shown(report.label_set)!r}")
        _tell_waiting(report)
    return reports
