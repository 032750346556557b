"""A review by keys on a plain terminal: one image at a time, a key a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clipsearch.cli.printing import note, path_shown, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import ReviewEntry
    from clipsearch.library import Library

_HELP = "a accept  1-9 choose  0 none of them  s skip  u undo  q quit"
_END = {"q", "\x03", "\x04", "\x1b"}  # also Ctrl-C, Ctrl-D and Escape


def review_by_keys(library: Library, label_set: str, collection: str | None) -> None:
    """Show image after image until nothing waits or the person has had enough."""
    from clipsearch.reviewing import queue, undo

    decided: list[int] = []
    while True:
        found = queue(library, label_set, collection=collection, limit=1)
        if not found.entries:
            note("nothing waits for a decision")
            return
        entry = found.entries[0]
        names = _show(entry, found.figures.waiting)
        key = _key(set("asu0") | set(map(str, range(1, len(names) + 1))) | _END)
        if key in _END:
            return
        if key != "u":
            _decide(library, label_set, collection, entry, key, names)
            decided.append(entry.image.id)
        elif decided:
            undo(library, label_set, decided.pop(), collection=collection)
            say("taken back")
        else:
            note("nothing was decided yet")


def _show(entry: ReviewEntry, waiting: int) -> list[str]:
    """Print an image with its labels; the labels by their keys, from 1 on."""
    say()
    say(f"{path_shown(entry.image.uri)}   (image {entry.image.id}, {waiting:,} wait)")
    say(f"the model says: {shown(', '.join(entry.labels)) or 'none of them'}")
    names = [one.label for one in entry.choices if one.label is not None][:9]
    for number, name in enumerate(names, start=1):
        one = next(choice for choice in entry.choices if choice.label == name)
        say(f"  {number}  {shown(name)}  {one.probability:.1%}  (score {one.score:.3f})")
    say(_HELP)
    return names


def _key(known: set[str]) -> str:
    while True:
        try:
            key = click.getchar()
        except (KeyboardInterrupt, EOFError):
            return "q"
        if key.lower() in known:
            return key.lower()
        note(_HELP)


def _decide(
    library: Library, label_set: str, collection: str | None, entry: ReviewEntry, key: str, names: list[str]
) -> None:
    from clipsearch import reviewing

    number = entry.image.id
    if key == "a":
        reviewing.accept(library, label_set, number, collection=collection)
        say("accepted")
    elif key == "s":
        reviewing.skip(library, label_set, number, collection=collection)
        say("skipped")
    else:
        labels = [] if key == "0" else [names[int(key) - 1]]
        # The very label that the model gives is no correction.
        same = labels == entry.labels
        if same:
            reviewing.accept(library, label_set, number, collection=collection)
        else:
            reviewing.correct(library, label_set, number, labels, collection=collection)
        say(f"{'accepted' if same else 'corrected'}: {shown(', '.join(labels)) or 'none of them'}")
