"""Commands that change a stored label set in place: thresholds, single labels, example images; and the check."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from clipsearch.cli.label_making import tell_label_set, tell_warnings
from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    json_option,
    library_options,
    model_option,
    open_library,
)
from clipsearch.cli.printing import note, print_json, say, shown

_THRESHOLDS = ("min_score", "min_probability", "min_margin")


@click.command("threshold")
@click.argument("name")
@click.argument("label", required=False)
@click.option("--min-score", type=float, metavar="X", help="The least cosine, -1 to 1.")
@click.option("--min-probability", type=float, metavar="X", help="The least probability, 0 to 1.")
@click.option("--min-margin", type=float, metavar="X", help="The least lead over the second label; of a set only.")
@click.option("--clear", multiple=True, type=click.Choice(["score", "probability", "margin"]), help="Take one away.")
@json_option
@library_options
def threshold(name: str, label: str | None, clear: tuple[str, ...], as_json: bool, **numbers: float | None) -> None:
    """Reject below these values: of the whole set NAME, or of one LABEL. Nothing is embedded anew.

    \b
    clipsearch labels threshold animals --min-margin .1
    clipsearch labels threshold animals cat --min-probability .6
    """
    from clipsearch.labelling import set_thresholds

    given: dict[str, float | None] = {key: numbers[key] for key in _THRESHOLDS if numbers[key] is not None}
    given |= dict.fromkeys((f"min_{one}" for one in clear), None)
    if not given:
        raise click.UsageError("say which threshold: --min-score, --min-probability, --min-margin or --clear")
    with open_library() as library:
        if label is None:
            made = set_thresholds(library, name, given)
        else:
            made = set_thresholds(library, name, {}, labels={label: given})
    tell_label_set(made, as_json, warn=False)


@click.command("edit")
@click.argument("name")
@click.argument("label")
@click.option("--rename", metavar="NEW", help="The label's new name; its prompts stay.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Its words from now on; may be repeated.")
@click.option("--negative", "negatives", multiple=True, metavar="TEXT", help="Words for 'not this' from now on.")
@click.option("--category", metavar="NAME", help="The outcome that it counts for; '' for none.")
@click.option("--words-weight", type=float, metavar="X", help="The share of its words beside examples, 0 to 1.")
@click.option("--no-examples", is_flag=True, help="Let no image stand for it any more.")
@json_option
@library_options
def edit(
    name: str,
    label: str,
    rename: str | None,
    prompts: tuple[str, ...],
    negatives: tuple[str, ...],
    category: str | None,
    words_weight: float | None,
    no_examples: bool,
    as_json: bool,
) -> None:
    """Change one LABEL of the set NAME; only that label is embedded anew."""
    from clipsearch.labelling import edit_label

    given = {"name": rename, "prompts": prompts or None, "negatives": negatives or None, "words_weight": words_weight}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if category is not None:
        changes["category"] = category or None
    if no_examples:
        changes |= {"examples": (), "words_weight": None}
    if not changes:
        raise click.UsageError("say what to change: --rename, --prompt, --negative, --category, --words-weight, …")
    with open_library() as library:
        made = edit_label(library, name, label, changes)
    tell_label_set(made, as_json)


@click.command("add")
@click.argument("name")
@click.argument("label", nargs=-1, required=True)
@json_option
@library_options
def add(name: str, label: tuple[str, ...], as_json: bool) -> None:
    """Add labels to the end of the set NAME."""
    from clipsearch.label_set import Label
    from clipsearch.labelling import change_labels

    with open_library() as library:
        made = change_labels(library, name, add=tuple(Label(name=one) for one in label))
    tell_label_set(made, as_json)


@click.command("remove")
@click.argument("name")
@click.argument("label", nargs=-1, required=True)
@json_option
@library_options
def remove(name: str, label: tuple[str, ...], as_json: bool) -> None:
    """Take labels out of the set NAME."""
    from clipsearch.labelling import change_labels

    with open_library() as library:
        made = change_labels(library, name, remove=label)
    tell_label_set(made, as_json)


@click.command("add-example")
@click.argument("name")
@click.argument("label")
@click.argument("path", nargs=-1)
@click.option("--id", "image_ids", multiple=True, type=click.IntRange(min=1), metavar="N", help="A stored image.")
@click.option("--words-weight", type=float, metavar="X", help="The share of the label's words beside examples.")
@collection_option
@json_option
@library_options
@encoder_options
@model_option
def add_example(
    name: str,
    label: str,
    path: tuple[str, ...],
    image_ids: tuple[int, ...],
    words_weight: float | None,
    collection: str | None,
    as_json: bool,
) -> None:
    """Let images stand for a LABEL of the set NAME, beside its words.

    \b
    clipsearch labels add-example pets Rex rex-1.jpg rex-2.jpg
    clipsearch labels add-example pets Rex --id 17 --words-weight 0.3
    """
    if not path and not image_ids:
        raise click.UsageError("name image files, or stored images by --id")
    from clipsearch.labelling import ExampleSource, add_examples

    sources = [ExampleSource(one, Path(os.path.expanduser(one))) for one in path]
    sources += [ExampleSource(image_id=one) for one in image_ids]
    with open_library() as library:
        made = add_examples(library, name, label, sources, words_weight=words_weight, collection=collection)
    tell_label_set(made, as_json)


@click.command("check")
@click.argument("name")
@collection_option
@json_option
@library_options
@encoder_options
def check(name: str, collection: str | None, as_json: bool) -> None:
    """Say what to think over in a set: doubtful names, and labels that the collection's model cuts or never saw."""
    from clipsearch.labelling import check_label_set

    with open_library() as library:
        warnings = check_label_set(library, name, collection=collection)
    if as_json:
        print_json({"label_set": name, "warnings": warnings})
    elif warnings:
        tell_warnings(warnings)
    else:
        note(f"nothing is wrong with {shown(name)!r}")
    if not as_json:
        say(f"{len(warnings)} warnings")
