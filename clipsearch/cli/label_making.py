"""``clipsearch labels create`` and ``export``: label sets from words and files, and back to files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    json_option,
    library_options,
    model_option,
    open_library,
    replace_option,
)
from clipsearch.cli.printing import counted, note, print_json, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import LabelSetInfo
    from clipsearch.label_set import Label, LabelSet
    from clipsearch.library import Library

MOST_WARNINGS = 10
_FORMS = {".yml": "yaml", ".yaml": "yaml", ".json": "json", ".csv": "csv"}
Function = TypeVar("Function", bound=Callable[..., Any])
Value = TypeVar("Value")


def _set_options(command: Function) -> Function:
    """How the set is chosen from."""
    for decorator in reversed(
        [
            click.option("--mode", type=click.Choice(["single", "multi", "binary"]),
                         help="single: which of these; multi: which are there; binary: this or not this."),
            click.option("--aggregate", type=click.Choice(["mean_embedding", "max", "sum_probability"]),
                         help="How a label's prompts are joined."),
            click.option("--background", multiple=True, metavar="TEXT", help="'Something else'; may be repeated."),
            click.option("--min-score", type=float, metavar="X", help="Reject below this cosine, -1 to 1."),
            click.option("--min-probability", type=float, metavar="X", help="Reject below this probability."),
            click.option("--min-margin", type=float, metavar="X", help="Reject with less lead over the second."),
        ]
    ):  # fmt: skip
        command = decorator(command)
    return command


def _label_options(command: Function) -> Function:
    """What single labels are made of, each as LABEL=VALUE."""
    for decorator in reversed(
        [
            click.option("--prompt", "prompts", multiple=True, metavar="LABEL=TEXT", help="Other words for a label."),
            click.option("--negative", "negatives", multiple=True, metavar="LABEL=TEXT", help="Words for 'not this'."),
            click.option("--category", "categories", multiple=True, metavar="LABEL=NAME",
                         help="The outcome that a label counts for."),
            click.option("--example", "examples", multiple=True, metavar="LABEL=PATH",
                         help="An image that stands for a label."),
            click.option("--words-weight", "weights", multiple=True, metavar="LABEL=X",
                         help="The share of words beside examples, 0 to 1."),
        ]
    ):  # fmt: skip
        command = decorator(command)
    return command


@click.command("create")
@click.argument("name")
@click.argument("label", nargs=-1)
@click.option("--file", "-f", "source", metavar="FILE", help="YAML, JSON, CSV, or a label a line; - is stdin.")
@click.option("--form", type=click.Choice(["yaml", "json", "csv", "lines"]), help="What the file is, if its name lies.")
@_label_options
@click.option("--template", "templates", multiple=True, metavar="TEXT", help="'a photo of a {}.'; may be repeated.")
@_set_options
@collection_option
@replace_option
@json_option
@library_options
@encoder_options
@model_option
def create(
    name: str,
    label: tuple[str, ...],
    source: str | None,
    form: str | None,
    templates: tuple[str, ...],
    collection: str | None,
    replace: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Store labels under NAME.

    \b
    clipsearch labels create animals cat dog "guinea pig"
    clipsearch labels create animals --file animals.yaml --replace
    clipsearch labels create sky clear cloudy --prompt "clear=a blue sky" --template "a photo of {}"
    clipsearch labels create pets Rex Minka --example Rex=rex.jpg --example Minka=minka.jpg

    Example images are embedded by the model of --collection.
    """
    if not label and source is None and not chosen["prompts"] and not chosen["examples"]:
        raise click.UsageError(f"name the labels: clipsearch labels create {name} cat dog, or --file FILE")
    from clipsearch.labelling import save_label_set

    draft = _draft(name, label, _read(source, form) if source is not None else None, templates, chosen)
    with open_library() as library:
        made = save_label_set(library, name, draft, replace=replace, collection=collection)
        told = warnings_of_model(library, made.name, collection)
    tell_label_set(made.model_copy(update={"warnings": told}) if told else made, as_json)


@click.command("export")
@click.argument("name")
@click.option("--form", type=click.Choice(["yaml", "json", "csv"]), default="yaml", help="yaml where none is named.")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="As it was in this version.")
@library_options
def export(name: str, form: str, version: int | None) -> None:
    """Print a label set as a file that `create --file` reads; builtin:NAME prints a built-in one.

    \b
    clipsearch labels export animals > animals.yaml
    """
    from typing import cast

    from clipsearch.label_files import Form, write_labels
    from clipsearch.labelling import stored_label_set

    with open_library() as library:
        found = stored_label_set(library, name, version)
    click.echo(write_labels(found, cast("Form", form)).encode(), nl=False)


def tell_label_set(made: LabelSetInfo, as_json: bool, *, warn: bool = True) -> None:
    """What a command says of a set that it made or changed."""
    if as_json:
        print_json(made)
        return
    say(f"label set {shown(made.name)!r}, version {made.version}: {counted(len(made.labels), 'label')}")
    if warn:
        tell_warnings(made.warnings)


def warnings_of_model(library: Library, name: str, collection: str | None) -> list[str]:
    """All that there is to warn of in a stored set, also what the model has no word for; none where it is not there."""
    from clipsearch.errors import ClipSearchError
    from clipsearch.labelling import check_label_set

    try:
        found = check_label_set(library, name, collection=library.collection(collection).name)
    except ClipSearchError:  # no collection yet, or no model: nothing that would stand in the way of a label set
        return []
    if len(found) > MOST_WARNINGS:
        return [*found[:MOST_WARNINGS], f"and {len(found) - MOST_WARNINGS:,} more: clipsearch labels check {name}"]
    return found


def tell_warnings(warnings: Sequence[str]) -> None:
    """Each on a line of stderr."""
    for warning in warnings:
        note(f"warning: {shown(warning)}")


def _draft(
    name: str, label: Sequence[str], from_file: LabelSet | None, templates: Sequence[str], chosen: dict[str, Any]
) -> LabelSet:
    from clipsearch.label_files import checked
    from clipsearch.label_set import Label, LabelSet
    from clipsearch.prompts import clean_text

    parts = {
        option: split(chosen[option], f"--{option.removesuffix('s')}")
        for option in ("prompts", "negatives", "examples")
    }
    categories = {key: texts[-1] for key, texts in split(chosen["categories"], "--category").items()}
    weights = {key: _number(texts[-1]) for key, texts in split(chosen["weights"], "--words-weight").items()}
    labels = list(from_file.labels) if from_file else []
    known = {one.name for one in labels}
    labels += [Label(name=one) for one in label]
    known |= set(label)
    told = [one for one in dict.fromkeys([*parts["prompts"], *parts["examples"]]) if one not in known]
    if label and told:
        raise click.UsageError(f"there is no label {told[0]!r} among those that are named; name it, or none of them")
    labels += [Label(name=one) for one in told]
    known |= {one.name for one in labels}
    for key in {*parts["negatives"], *categories, *weights} - known:
        raise click.UsageError(f"there is no label {key!r} to say this of")
    whole = tuple(_with_parts(one, parts, categories, weights) for one in labels)
    given = {key: chosen[key] for key in ("mode", "aggregate", "min_score", "min_probability", "min_margin")}
    found = replace(
        from_file or LabelSet(labels=()),
        labels=whole,
        templates=tuple(templates) or (from_file.templates if from_file else ()),
        background=tuple(chosen["background"]) or (from_file.background if from_file else ()),
        **{key: value for key, value in given.items() if value is not None},
    )
    return checked(found, name=f"the label set {clean_text(name, what='the name of the label set')!r}")


def _with_parts(
    label: Label, parts: dict[str, dict[str, list[str]]], categories: dict[str, str], weights: dict[str, float]
) -> Label:
    from clipsearch.label_set import Example
    from clipsearch.prompts import plain_words

    name = label.name
    # A label's own name is its prompt only as long as it has no other.
    own = () if label.prompts == (plain_words(name),) and parts["prompts"].get(name) else label.prompts
    return replace(
        label,
        prompts=(*own, *parts["prompts"].get(name, ())),
        negatives=(*label.negatives, *parts["negatives"].get(name, ())),
        category=categories.get(name, label.category),
        words_weight=weights.get(name, label.words_weight),
        examples=(*label.examples, *(Example(os.path.expanduser(one)) for one in parts["examples"].get(name, ()))),
    )


def _read(source: str, form: str | None) -> LabelSet:
    from clipsearch.errors import InvalidLabelSet
    from clipsearch.label_files import parse_labels, read_label_file

    if source != "-":
        path = Path(os.path.expanduser(source))
        if form is None or _FORMS.get(path.suffix.lower()) == form:
            return read_label_file(path)
        data, name = path.read_bytes(), source
    else:
        data, name = sys.stdin.buffer.read(), "the label set on stdin"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidLabelSet(f"{name} is not UTF-8") from error
    return parse_labels(text, form or ("json" if text.lstrip()[:1] in ("{", "[") else "lines"), name)


def split(given: Sequence[str], option: str) -> dict[str, list[str]]:
    """What options of the form LABEL=TEXT say, by label. Raises UsageError."""
    found: dict[str, list[str]] = {}
    for one in given:
        label, equals, text = (part.strip() for part in one.partition("="))
        if not (label and equals and text):
            raise click.UsageError(f"{option} is written LABEL=TEXT, not {one!r}")
        found.setdefault(label, []).append(text)
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"--words-weight is written LABEL=NUMBER; {text!r} is no number") from None
