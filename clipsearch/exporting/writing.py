"""Writes labelled images in the form that was asked for, whole or not at all; knows which form is a file and which a
folder."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clipsearch.datasets import (
    Rows,
    csv_lines,
    event_lines,
    json_lines,
    keywords_of,
    refuse_occupied,
    staged_file,
    staged_folder,
    write_coco,
    write_folders,
    write_parquet,
    write_sidecar,
)
from clipsearch.datasets.staging import FULL
from clipsearch.errors import InvalidInput, StorageFull
from clipsearch.exporting.labelled import LabelledImages
from clipsearch.exporting.options import ExportOptions

EVENTS, VECTORS = "events.jsonl", "vectors"


def is_folder(options: ExportOptions) -> bool:
    """Whether the target is a folder, and not a file."""
    return options.form in {"folder", "coco"} or (options.form == "cloudevents" and options.embeddings)


def check_place(target: Path) -> None:
    """Raises AlreadyExists where something stands at ``target``; InvalidInput where a file is in the way to it."""
    above = next(one for one in target.parents if os.path.lexists(one))
    if above == target.parent or not above.is_dir():
        refuse_occupied(target)


@contextmanager
def folders_above(target: Path) -> Iterator[None]:
    """The folders that ``target`` shall lie in are there in the block; those made for it go again when it raises."""
    missing = [one for one in target.parents if not os.path.lexists(one)]
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull(f"the disk is full; {str(target.parent)!r} was not made") from error
            raise InvalidInput(f"{str(target.parent)!r} cannot be made: {error.strerror or error}") from error
        yield
    except BaseException:
        for one in missing:  # the innermost first
            with suppress(OSError):  # somebody else's files are in it by now
                one.rmdir()
        raise


def text_lines(rows: Rows, options: ExportOptions, model: str) -> Iterator[str]:
    """The lines of a form that is text, without vectors beside them."""
    if options.form == "csv":
        return csv_lines(rows)
    if options.form == "jsonl":
        return json_lines(rows)
    return event_lines(rows, model=model, moment=dt.datetime.now(dt.UTC))


def write_dataset(rows: LabelledImages, target: Path, options: ExportOptions, about: dict[str, Any]) -> int:
    """Write the dataset to ``target``, which appears when all is written; how many pictures were copied."""
    if not is_folder(options):
        with staged_file(target) as place:
            _write_file(rows, place, options, about)
        return 0
    with staged_folder(target) as place:
        if options.form == "cloudevents":
            moment, vectors = dt.datetime.now(dt.UTC), place / VECTORS
            vectors.mkdir()
            stands_at = target.absolute() / VECTORS
            lines = event_lines(rows, model=about["model"], moment=moment, vectors=vectors, vectors_at=stands_at)
            _write_lines(lines, place / EVENTS)
            return 0
        shared: dict[str, Any] = {
            "classes": rows.classes.every,
            "parts": options.parts.parts if options.parts is not None else (),
            "on_missing": rows.take_back,
            "about": about,
        }
        if options.form == "coco":
            return write_coco(rows, place, placement=options.placement, **shared)
        return write_folders(rows, place, placement=options.placement or "hardlink", **shared)


def _write_file(rows: LabelledImages, place: Path, options: ExportOptions, about: dict[str, Any]) -> None:
    if options.form == "parquet":
        dimension = rows.view.index.dimension if options.embeddings and rows.view is not None else None
        write_parquet(rows, place, dimension=dimension, about=about)
    else:
        _write_lines(text_lines(rows, options, about["model"]), place)


def _write_lines(lines: Iterable[str], place: Path) -> None:
    with place.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def write_sidecars(rows: LabelledImages, label_set: str) -> dict[str, int]:
    """Write each image's labels into its sidecar; how many were written, and how many had nothing to change."""
    outcomes = {"written": 0, "unchanged": 0}
    for row in rows:
        if row.path is None:
            continue  # told already: it has no file
        try:
            outcomes[write_sidecar(row.path, keywords_of(row, label_set))] += 1
        except InvalidInput as error:
            rows.take_back(row, "sidecar", f"its sidecar {error.message}")
    return outcomes
