"""``clipsearch review``: look at tags, the least certain first; accept, correct or skip them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import NOTHING_FOUND
from clipsearch.cli.options import collection_option, encoder_options, json_option, library_options, open_library
from clipsearch.cli.printing import counted, note, path_shown, print_json, print_table, say, shown
from clipsearch.cli.review_keys import review_by_keys
from clipsearch.cli.terms import image_named

if TYPE_CHECKING:
    from clipsearch.answers import ReviewEntry, ReviewFigures, ReviewInfo


class _Reviewing(click.Group):
    """A group in which a word that is no command is the set to review by keys."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        return "start", self.commands["start"], args


@click.group(cls=_Reviewing, subcommand_metavar="SET | COMMAND [ARGS]...")
def review() -> None:
    """Look at the least certain tags of SET one by one, by keys.

    a accepts what the model says, 1-9 choose another label, 0 says that it is none of them, s skips, u takes the
    last decision back, q ends. Decisions stay when the set changes, and stand before the model's.
    """


@review.command("start", hidden=True)
@click.argument("label_set", metavar="SET")
@collection_option
@library_options
def start(label_set: str, collection: str | None) -> None:
    """Look at the least certain tags of SET one by one, by keys."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"keys need a terminal; without one: clipsearch review list {label_set} --json, and clipsearch review "
            f"decide {label_set} IMAGE --accept"
        )
    from clipsearch.reviewing import figures

    with open_library() as library:
        review_by_keys(library, label_set, collection)
        _tell_figures(figures(library, label_set, collection=collection))


@review.command("list")
@click.argument("label_set", metavar="SET")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, metavar="N", help="How many.")
@click.option("--after", type=click.IntRange(1), metavar="ID", help="Those less uncertain than this image.")
@click.option("--decided", is_flag=True, help="What was decided, in the place of what waits.")
@collection_option
@json_option
@library_options
def list_command(
    label_set: str, limit: int, after: int | None, decided: bool, collection: str | None, as_json: bool
) -> None:
    """List the images that wait for a decision, the least certain first."""
    from clipsearch.reviewing import list_reviews, queue

    with open_library() as library:
        if decided:
            _tell_reviews(list_reviews(library, label_set, collection=collection), as_json)
            return
        found = queue(library, label_set, collection=collection, limit=limit, after=after)
    if as_json:
        print_json(found)
        return
    if found.entries:
        print_table(("id", "says", "file", "best"), [_row(one) for one in found.entries], numbers=("id",))
    _tell_figures(found.figures)
    if found.next is not None:
        note(f"there are more: --after {found.next}")
    if not found.entries:
        click.get_current_context().exit(NOTHING_FOUND)


def _row(entry: ReviewEntry) -> tuple[str, str, str, str]:
    best = ", ".join(f"{one.label or 'something else'} {one.probability:.0%}" for one in entry.choices[:3])
    return str(entry.image.id), ", ".join(entry.labels) or "nothing", path_shown(entry.image.uri), best


def _tell_reviews(found: list[ReviewInfo], as_json: bool) -> None:
    if as_json:
        print_json({"reviews": [one.model_dump(mode="json") for one in found]})
        return
    rows = [(str(one.image_id), one.verdict, ", ".join(one.labels), str(one.label_set_version)) for one in found]
    print_table(("id", "verdict", "labels", "version"), rows, numbers=("id",))


@review.command("decide")
@click.argument("label_set", metavar="SET")
@click.argument("image", metavar="IMAGE")
@click.option("--accept", is_flag=True, help="What the model says is right.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="It is this; may be repeated for several.")
@click.option("--none", is_flag=True, help="It is none of the labels.")
@click.option("--skip", is_flag=True, help="Do not ask again.")
@click.option("--undo", is_flag=True, help="Take back what was decided.")
@collection_option
@json_option
@library_options
def decide(
    label_set: str, image: str, labels: tuple[str, ...], collection: str | None, as_json: bool, **wishes: bool
) -> None:
    """Decide on one IMAGE, named by its id or its path."""
    wished = [name for name, given in wishes.items() if given]
    if len(wished) + bool(labels) != 1:
        raise click.UsageError("say exactly one of --accept, --label LABEL, --none, --skip and --undo")
    wish = wished[0] if wished else None
    from clipsearch import reviewing
    from clipsearch.browsing import show_image

    with open_library() as library:
        where: dict[str, Any] = {"collection": collection}
        number = show_image(library, image_named(image), **where).id
        if wish in {"accept", "skip", "undo"}:
            made = getattr(reviewing, wish)(library, label_set, number, **where)
        else:
            made = reviewing.correct(library, label_set, number, labels, **where)
    if as_json:
        print_json(made)
    else:
        what = f"{made.verdict} (taken back)" if wish == "undo" else made.verdict
        say(f"image {made.image_id}: {what}{': ' + shown(', '.join(made.labels)) if made.labels else ''}")


@review.command("to-examples")
@click.argument("label_set", metavar="SET")
@click.option("--words-weight", type=click.FloatRange(0.0, 1.0), metavar="W", help="The share of the label's words.")
@collection_option
@json_option
@encoder_options
@library_options
def to_examples(label_set: str, words_weight: float | None, collection: str | None, as_json: bool) -> None:
    """Let the images that were corrected stand for the labels they got, in SET.

    SET has other scores then: tag its images anew, clipsearch tags apply.
    """
    from clipsearch.labelling import ExampleSource, add_examples
    from clipsearch.reviewing import examples_from_reviews

    with open_library() as library:
        of_label: dict[str, list[ExampleSource]] = {}
        for label, image in examples_from_reviews(library, label_set, collection=collection):
            of_label.setdefault(label, []).append(ExampleSource(image_id=image.id))
        for label, sources in of_label.items():
            add_examples(library, label_set, label, sources, words_weight=words_weight, collection=collection)
    if as_json:
        print_json({"label_set": label_set, "examples": {name: len(several) for name, several in of_label.items()}})
        return
    for label, sources in of_label.items():
        say(f"{shown(label)}: {counted(len(sources), 'image')}")
    if of_label:
        note(f"the label set has other scores now; tag anew: clipsearch tags apply {shown(label_set)}")
    else:
        note("no image was corrected to a label of the set yet")
        click.get_current_context().exit(NOTHING_FOUND)


def _tell_figures(found: ReviewFigures) -> None:
    share = f", {found.share_accepted:.0%} of the decisions accept" if found.share_accepted is not None else ""
    note(
        f"{counted(found.reviewed, 'image')} reviewed: {found.accepted:,} accepted, {found.corrected:,} corrected, "
        f"{found.skipped:,} skipped{share}; {found.waiting:,} wait"
    )
