"""``clipsearch embed``: embeddings of texts and pictures, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import collection_option, encoder_options, json_option, library_options, open_library
from clipsearch.cli.printing import counted, note, print_json, say

if TYPE_CHECKING:
    from clipsearch.encoding import Encodings
    from clipsearch.library import Library


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--image", "images", multiple=True, metavar="FILE", type=click.Path(path_type=Path), help="A picture; repeatable."
)
@click.option("--model", "named", metavar="NAME", help="The model, in the place of the collection's.")
@click.option("--raw", is_flag=True, help="As they come from the model, not brought to unit length.")
@click.option(
    "--npy", "into", metavar="FILE", type=click.Path(path_type=Path), help="Write a float32 array [n, d] to this file."
)
@json_option
@collection_option
@encoder_options
@library_options
def embed(
    texts: tuple[str, ...],
    images: tuple[Path, ...],
    named: str | None,
    raw: bool,
    into: Path | None,
    as_json: bool,
    collection: str | None,
) -> None:
    """Turn texts and pictures into embeddings: texts first, then pictures, each in the order given.

    Prints one line of numbers for each, or one JSON object, or writes an array. They compare by their dot product,
    with each other and with what a collection of the same model holds.

    \b
    clipsearch embed "a dog on a beach" --json
    clipsearch embed --image cat.jpg --image dog.jpg --npy pets.npy
    """
    if not texts and not images:
        raise click.UsageError('nothing to embed: give words, "a dog on a beach", or --image FILE')
    with open_library() as library:
        found = _found(library, texts, images, collection=collection, model=named)
    for place, cut in enumerate(found["texts"].truncated if texts else ()):
        if cut:
            note(f"text {place + 1} is longer than the model reads; its end does not count")
    if into is not None:
        _write(found, into, raw)
    if as_json:
        print_json(_told(found, raw))
    elif into is None:
        for part in found.values():
            for row in part.raw if raw else part.vectors:
                say(" ".join(f"{value:.9g}" for value in row))


def _found(
    library: Library, texts: tuple[str, ...], images: tuple[Path, ...], **by: str | None
) -> dict[str, Encodings]:
    from clipsearch.encoding import choose_model, encode_pictures, encode_texts

    found, chosen = {}, choose_model(library, **by)
    # Pictures first: they bring the whole model into memory, and texts need but half of it.
    if images:
        found["images"] = encode_pictures(library, images, model=chosen)
    if texts:
        found["texts"] = encode_texts(library, texts, model=chosen)
    return {kind: found[kind] for kind in ("texts", "images") if kind in found}


def _told(found: dict[str, Encodings], raw: bool) -> Any:
    from clipsearch.answers import EmbeddingInfo, EmbeddingsAnswer

    model = next(iter(found.values())).model
    told = {
        kind: [
            EmbeddingInfo(embedding=row.tolist(), norm=float(norm), truncated=cut)
            for row, norm, cut in zip(part.raw if raw else part.vectors, part.norms, part.truncated, strict=True)
        ]
        for kind, part in found.items()
    }
    return EmbeddingsAnswer(model=model.name, dimension=model.dimension, normalized=not raw, **told)


def _write(found: dict[str, Encodings], into: Path, raw: bool) -> None:
    import numpy as np

    rows = np.concatenate([part.raw if raw else part.vectors for part in found.values()])
    with into.open("wb") as file:  # by itself numpy adds .npy to a name without it
        np.save(file, rows, allow_pickle=False)
    note(f"wrote {counted(len(rows), 'embedding')} of {rows.shape[1]} dimensions to {into}")
