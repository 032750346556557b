"""``clipsearch models add``, ``of``, ``switch`` and ``remove``: the models of a collection."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.asking import ask
from clipsearch.cli.options import (
    batch_size_option,
    collection_option,
    decode_threads_option,
    encoder_options,
    json_option,
    library_options,
    open_library,
    yes_option,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import FailedFile
    from clipsearch.answers.models import EmbeddingReport, ModelSwitch

# More names than this say nothing to a person; --json has them.
_NAMED = 20
_NUMBERS = ("embedded", "images", "dimension")


@click.command("add")
@click.argument("model")
@collection_option
@json_option
@batch_size_option
@decode_threads_option
@encoder_options
@library_options
def add(model: str, collection: str | None, as_json: bool) -> None:
    """Embed a collection by a further MODEL, beside the one that answers.

    Searches and indexing go on meanwhile. Run it again for what was added since, and for a run that was cut short.
    """
    from clipsearch.cli.progress import progress_shown
    from clipsearch.indexing import Progress
    from clipsearch.switching import add_model

    with open_library() as library, progress_shown() as tell:
        model = library.model_name(model)
        tell(Progress("loading the model", 0, None))
        report = add_model(
            library,
            model,
            collection=collection,
            on_progress=lambda done, total, failed: tell(Progress("embedding", done, total, failed=failed)),
        )
    if as_json:
        print_json(report)
    else:
        _tell_added(report)
    if report.failed:
        _tell_failed(report.failed)


@click.command("of")
@click.argument("collection", required=False)
@click.option("--missing", metavar="MODEL", help="Name the images that lack an embedding by MODEL instead.")
@json_option
@library_options
def of(collection: str | None, missing: str | None, as_json: bool) -> None:
    """List the models of a COLLECTION, and how many of its images each has embedded."""
    from clipsearch.switching import list_models, missing_images

    with open_library() as library:
        if missing is not None:
            lacking = missing_images(library, missing, collection=collection, limit=1_000)
            if as_json:
                print_json(lacking)
                return
            for image in lacking.images:
                say(f"{image.id}\t{path_shown(image.uri)}")
            note(f"{counted(lacking.total, 'image')} without an embedding by {shown(lacking.model)}")
            if not lacking.total:
                click.get_current_context().exit(NOTHING_FOUND)
            return
        found = list_models(library, collection)
    if as_json:
        print_json(found)
        return
    rows = [
        (one.name, one.state, f"{one.embedded:,}", f"{one.images:,}", str(one.dimension or "")) for one in found.models
    ]
    print_table(("model", "state", "embedded", "images", "dimension"), rows, numbers=_NUMBERS)
    for one in found.models:
        if one.embedded < one.images and one.state != "embedding":
            again = f"clipsearch models add {shlex.quote(one.name)} -c {shlex.quote(found.collection)}"
            note(f"{counted(one.images - one.embedded, 'image')} without an embedding by {shown(one.name)}: {again}")


@click.command("switch")
@click.argument("model")
@collection_option
@click.option("--allow-missing", is_flag=True, help="Also where images lack it: searches do not find those then.")
@click.option("--tags", "retag", is_flag=True, help="Then apply again the label sets that the images are tagged with.")
@json_option
@encoder_options
@library_options
def switch(model: str, collection: str | None, allow_missing: bool, retag: bool, as_json: bool) -> None:
    """Let MODEL answer in a collection, in one step, once every image has an embedding by it.

    The model that answered stays, so that it can be switched back to.
    """
    from clipsearch.switching import switch_model

    with open_library() as library:
        answer = switch_model(library, model, collection=collection, allow_missing=allow_missing)
        if as_json:
            print_json(answer)
        else:
            _tell_switched(answer)
        if retag:
            from clipsearch.tagging import tag_collection

            for label_set in answer.outdated_tags:
                report = tag_collection(library, label_set, collection=collection)
                note(f"{counted(report.tagged, 'image')} tagged with {shown(label_set)}")
        else:
            for label_set in answer.outdated_tags:
                again = f"clipsearch tags apply {shown(label_set)} -c {shown(answer.collection)}"
                note(f"the tags of {shown(label_set)!r} are of the other model; to have them again: {again}")
        library.keep_text_runtime(answer.model)


@click.command("remove")
@click.argument("model")
@collection_option
@yes_option
@json_option
@library_options
def remove(model: str, collection: str | None, yes: bool, as_json: bool) -> None:
    """Take a further MODEL away from a collection, with its embeddings. The one that answers stays."""
    from clipsearch.switching import check_removable, remove_model

    with open_library() as library:
        name = library.collection(collection).name
        check_removable(library, model, collection=collection)
        ask(f"delete what {shown(model)} made of the images of {shown(name)!r}?", yes)
        answer = remove_model(library, model, collection=collection)
    if as_json:
        print_json(answer)
    else:
        say(f"{shown(answer.model)} removed from {shown(answer.collection)!r}, with "
            f"{counted(answer.embeddings, 'embedding')}")  # fmt: skip


def _tell_added(report: EmbeddingReport) -> None:
    taken = f", {report.taken_over:,} of them known by their content" if report.taken_over else ""
    say(f"{counted(report.embedded, 'image')} embedded by {shown(report.model)} in {report.seconds:.1f} s{taken}")
    if report.cancelled:
        note("it was cancelled; run the command again to go on")
    elif report.ready:
        note(f"compare the two with: clipsearch evaluate … --against-model {shown(report.model)}; switch with: "
             f"clipsearch models switch {shown(report.model)} -c {shown(report.collection)}")  # fmt: skip
    else:
        note(f"{counted(report.lacking, 'image')} of {report.images:,} still without an embedding by it")


def _tell_failed(failed: list[FailedFile]) -> None:
    for one in failed[:_NAMED]:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    if len(failed) > _NAMED:
        note(f"! … and {len(failed) - _NAMED:,} more: clipsearch models of --missing MODEL names them")


def _tell_switched(answer: ModelSwitch) -> None:
    say(f"{shown(answer.collection)!r} is answered by {shown(answer.model)} now, not by {shown(answer.previous)}")
    if answer.lacking:
        note(f"{counted(answer.lacking, 'image')} of {answer.images:,} cannot be found by it; where their files are "
             "there, indexing brings them back")  # fmt: skip
        for uri in answer.missing[:_NAMED]:
            note(f"! {path_shown(uri)}")
