"""``clipsearch labels``: stored label sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import label_editing, label_making
from clipsearch.cli.label_making import tell_label_set, tell_warnings
from clipsearch.cli.options import json_option, library_options, open_library, replace_option, yes_option
from clipsearch.cli.printing import counted, note, print_json, print_table, say, shown
from clipsearch.cli.transfer import import_options, tell_import

if TYPE_CHECKING:
    from clipsearch.answers import LabelInfo, LabelSetInfo


@click.group()
def labels() -> None:
    """Make, show, change and delete label sets to classify with."""


for _command in (
    label_making.create,
    label_making.export,
    label_editing.add,
    label_editing.remove,
    label_editing.edit,
    label_editing.threshold,
    label_editing.add_example,
    label_editing.check,
):
    labels.add_command(_command)


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
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="As it was in this version.")
@json_option
@library_options
def show(name: str, version: int | None, as_json: bool) -> None:
    """Show a label set with its prompts; builtin:NAME shows a built-in one."""
    from clipsearch.labelling import show_label_set

    with open_library() as library:
        found = show_label_set(library, name, version)
    if as_json:
        print_json(found)
        return
    say(f"{shown(found.name)}, version {found.version}")
    for line in _settings_of(found):
        say(line)
    rows = [(one.name, _words_of(one), _more_of(one)) for one in found.labels]
    if any(more for *_, more in rows):
        print_table(("label", "prompts", "more"), rows)
    else:
        print_table(("label", "prompts"), [row[:2] for row in rows])
    tell_warnings(found.warnings)


def _settings_of(found: LabelSetInfo) -> list[str]:
    lines = [f"template: {shown(template)}" for template in found.templates]
    if found.mode != "single":
        lines.append(f"mode: {found.mode}")
    if found.aggregate != "mean_embedding":
        lines.append(f"prompts joined by: {found.aggregate}")
    lines += [f"background: {shown(text)}" for text in found.background]
    thresholds = {"score": found.min_score, "probability": found.min_probability, "margin": found.min_margin}
    return lines + [f"least {what}: {value:g}" for what, value in thresholds.items() if value is not None]


def _words_of(label: LabelInfo) -> str:
    return "  |  ".join(prompt for prompt in label.prompts if prompt != label.name)


def _more_of(label: LabelInfo) -> str:
    parts = [f"category {label.category}"] if label.category is not None else []
    parts += [f"not: {negative}" for negative in label.negatives]
    parts += [counted(len(label.examples), "example")] if label.examples else []
    numbers = {"words": label.words_weight, "score >=": label.min_score, "probability >=": label.min_probability}
    return ", ".join(parts + [f"{what} {value:g}" for what, value in numbers.items() if value is not None])


@labels.command("history")
@click.argument("name")
@json_option
@library_options
def history(name: str, as_json: bool) -> None:
    """List the versions of a label set with what each changed; `show --version N` shows one."""
    from clipsearch.labelling import label_set_history

    with open_library() as library:
        found = label_set_history(library, name)
    if as_json:
        print_json({"versions": [one.model_dump(mode="json") for one in found]})
        return
    rows = [
        (str(one.version), f"{one.made_at:%Y-%m-%d %H:%M}", one.mode, f"{one.labels:,}", "; ".join(one.changes))
        for one in found
    ]
    print_table(("version", "made", "mode", "labels", "changes"), rows, numbers=("version", "labels"))


@labels.command("builtin")
@json_option
@library_options
def builtin(as_json: bool) -> None:
    """List the label sets that come with clipsearch; they are used as builtin:NAME."""
    from clipsearch.labelling import list_built_in

    found = list_built_in()
    if as_json:
        print_json({"label_sets": [one.model_dump(mode="json") for one in found]})
        return
    rows = [(one.name, f"{len(one.labels):,}", "  ".join(one.templates)) for one in found]
    print_table(("name", "labels", "templates"), rows, numbers=("labels",))


@labels.command("install")
@click.argument("name")
@click.option("--as", "new_name", metavar="NAME", help="What to call the copy; as it is called where none is given.")
@replace_option
@json_option
@library_options
def install(name: str, new_name: str | None, replace: bool, as_json: bool) -> None:
    """Copy a built-in label set into the library, to be changed there."""
    from clipsearch.labelling import install_built_in

    with open_library() as library:
        made = install_built_in(library, name, new_name=new_name, replace=replace)
    tell_label_set(made, as_json)


@labels.command("delete")
@click.argument("name")
@yes_option
@json_option
@library_options
def delete(name: str, yes: bool, as_json: bool) -> None:
    """Delete a label set, with the tags and decisions made by it."""
    from clipsearch.cli.asking import ask
    from clipsearch.labelling import delete_label_set, lost_with_label_set

    with open_library() as library:
        decisions, tagged = lost_with_label_set(library, name)
        lost = f"{counted(decisions, 'decision')} and the tags of {counted(tagged, 'collection')}"
        also = lost if decisions or tagged else ""
        ask(f"delete the label set {shown(name)!r}{f', and with it {also}' if also else ''}?", yes)
        delete_label_set(library, name)
    if as_json:
        print_json({"deleted": name, "decisions": decisions, "tagged_collections": tagged})
    else:
        say(f"label set {shown(name)!r} deleted{f', and with it {also}' if also else ''}")


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
