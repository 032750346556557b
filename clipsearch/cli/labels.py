"""``clipsearch labels``: stored label sets."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import json_option, library_options, open_library, replace_option, yes_option
from clipsearch.cli.printing import counted, note, print_json, print_table, say, shown
from clipsearch.cli.transfer import import_options, tell_import

if TYPE_CHECKING:
    from clipsearch.answers import LabelSetInfo
    from clipsearch.label_set import LabelSet

_FORMS = {".yml": "yaml", ".yaml": "yaml", ".json": "json", ".csv": "csv"}


@click.group()
def labels() -> None:
    """Make, show and delete label sets to classify with."""


@labels.command("list")
@json_option
@library_options
def list_command(as_json: bool) -> None:
    """List the label sets."""
    from clipsearch.labelling import list_label_sets

    with open_library() as library:
        found = list_label_sets(library)
    if as_json:
        print_json({"label_sets": [one.model_dump(mode="json") for one in found]})
    elif found:
        rows = [(one.name, str(one.version), f"{len(one.labels):,}", "  ".join(one.templates)) for one in found]
        print_table(("name", "version", "labels", "templates"), rows, numbers=("version", "labels"))
    else:
        note("there is no label set yet; make one: clipsearch labels create animals cat dog")


@labels.command("show")
@click.argument("name")
@json_option
@library_options
def show(name: str, as_json: bool) -> None:
    """Show a label set with its prompts."""
    from clipsearch.labelling import show_label_set

    with open_library() as library:
        found = show_label_set(library, name)
    if as_json:
        print_json(found)
        return
    say(f"{shown(found.name)}, version {found.version}")
    for template in found.templates:
        say(f"template: {shown(template)}")
    rows = [(one.name, "  |  ".join(prompt for prompt in one.prompts if prompt != one.name)) for one in found.labels]
    print_table(("label", "prompts"), rows)
    _warn(found)


@labels.command("create")
@click.argument("name")
@click.argument("label", nargs=-1)
@click.option("--file", "-f", "source", metavar="FILE", help="YAML, JSON, CSV, or a label a line; - is stdin.")
@click.option("--form", type=click.Choice(["yaml", "json", "csv", "lines"]), help="What the file is, if its name lies.")
@click.option("--prompt", "prompts", multiple=True, metavar="LABEL=TEXT", help="Other words for a label.")
@click.option("--template", "templates", multiple=True, metavar="TEXT", help="'a photo of a {}.'; may be repeated.")
@replace_option
@json_option
@library_options
def create(
    name: str,
    label: tuple[str, ...],
    source: str | None,
    form: str | None,
    prompts: tuple[str, ...],
    templates: tuple[str, ...],
    replace: bool,
    as_json: bool,
) -> None:
    """Store labels under NAME.

    \b
    clipsearch labels create animals cat dog "guinea pig"
    clipsearch labels create animals --file animals.yaml --replace
    clipsearch labels create sky clear cloudy --prompt "clear=a blue sky" --template "a photo of {}"
    """
    if not label and source is None and not prompts:
        raise click.UsageError(f"name the labels: clipsearch labels create {name} cat dog, or --file FILE")
    from clipsearch.labelling import save_label_set

    draft = _draft(name, label, source, form, _split(prompts), templates)
    with open_library() as library:
        made = save_label_set(library, name, draft, replace=replace)
    if as_json:
        print_json(made)
        return
    say(f"label set {shown(made.name)!r}, version {made.version}: {counted(len(made.labels), 'label')}")
    _warn(made)


@labels.command("delete")
@click.argument("name")
@yes_option
@json_option
@library_options
def delete(name: str, yes: bool, as_json: bool) -> None:
    """Delete a label set."""
    from clipsearch.cli.asking import ask
    from clipsearch.labelling import delete_label_set

    with open_library() as library:
        ask(f"delete the label set {shown(name)!r}?", yes)
        delete_label_set(library, name)
    if as_json:
        print_json({"deleted": name})
    else:
        say(f"label set {shown(name)!r} deleted")


@labels.command("import")
@import_options
@click.option("--name", metavar="NAME", help="The set's name; the file's where none is given.")
@click.option("--template", "templates", multiple=True, metavar="TEXT", help="What the prompts were made with.")
@replace_option
@json_option
@library_options
def import_command(
    embeddings: Path,
    names: Path,
    model: str,
    logit_scale: float | None,
    logit_bias: float | None,
    name: str | None,
    templates: tuple[str, ...],
    replace: bool,
    as_json: bool,
) -> None:
    """Take over a label set with its embeddings: row N of the .npy file belongs to name N."""
    from clipsearch.importing import import_label_set

    with open_library() as library:
        report = import_label_set(
            library,
            name if name is not None else embeddings.stem,
            embeddings,
            names,
            model=model,
            logit_scale=logit_scale,
            logit_bias=logit_bias,
            templates=templates,
            replace=replace,
        )
    tell_import(report, as_json, "label")


def _draft(
    name: str,
    label: Sequence[str],
    source: str | None,
    form: str | None,
    prompts: dict[str, list[str]],
    templates: Sequence[str],
) -> LabelSet:
    from clipsearch.label_files import draft_of
    from clipsearch.prompts import clean_text

    from_file = _read(source, form) if source is not None else None
    pairs: list[tuple[str, Sequence[str]]] = [(one.name, one.prompts) for one in from_file.labels] if from_file else []
    known = {one for one, _ in pairs}
    pairs += [(one, ()) for one in label]
    known |= set(label)
    pairs += [(one, ()) for one in prompts if one not in known]
    # A label's own name is its prompt only as long as it has no other.
    whole = [(one, ([*own] if tuple(own) != (one,) else []) + prompts.get(one, [])) for one, own in pairs]
    chosen = tuple(templates) or (from_file.templates if from_file else ())
    return draft_of(whole, chosen, name=f"the label set {clean_text(name, what='the name of the label set')!r}")


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


def _split(prompts: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in prompts:
        label, equals, text = (part.strip() for part in one.partition("="))
        if not (label and equals and text):
            raise click.UsageError(f"--prompt is written LABEL=TEXT, not {one!r}")
        found.setdefault(label, []).append(text)
    return found


def _warn(label_set: LabelSetInfo) -> None:
    for warning in label_set.warnings:
        note(f"warning: {shown(warning)}")
