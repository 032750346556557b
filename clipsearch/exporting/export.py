"""Export the labels of a collection: read, decide, write, and say what came of every image."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipsearch.answers import ClassCount, ExportReport
from clipsearch.choices import label_set_of
from clipsearch.database.collections import CollectionRow
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.datasets import check_parquet
from clipsearch.errors import InvalidInput
from clipsearch.exporting.labelled import LabelledImages, OnProgress
from clipsearch.exporting.options import TEXT_FORMS, ExportOptions
from clipsearch.exporting.writing import check_place, folders_above, text_lines, write_dataset, write_sidecars
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels

# The keywords of an event where no label set was named.
BEST_OF, BEST_WORDS = "builtin:objects", 5


def export_labels(
    library: Library,
    label_set: str | None,
    target: Path | None,
    options: ExportOptions,
    *,
    collection: str | None = None,
    filters: Filters | None = None,
    on_progress: OnProgress | None = None,
) -> ExportReport:
    """Write the images of a collection with their labels as a dataset.

    Labels are those that a person decided, else stored tags that hold, else the model's by the label set as it is
    now. ``label_set`` may be None for CloudEvents only: the best words of the built-in set of everyday objects.
    ``target`` is a folder for the forms folder and coco, and for cloudevents with embeddings; a file for the others;
    None for xmp, whose sidecars lie beside the images. It appears when all is written, with the folders above it.

    Raises AlreadyExists for a target that is there, InvalidInput, LabelSetNotFound, CollectionNotFound, StorageFull,
    ConfigError where Parquet cannot be written here, and what classifying raises.
    """
    started = time.monotonic()
    target = _checked_target(target, options)
    rows, about = _prepared(library, label_set, options, collection, filters, on_progress=on_progress)
    copied, sidecars = 0, {"written": 0, "unchanged": 0}
    if options.dry_run:
        for _ in rows:
            pass
    elif target is None:
        sidecars = write_sidecars(rows, about["label_set"])
    else:
        with folders_above(target):
            copied = write_dataset(rows, target, options, about)
    return _report(rows, options, about, target, copied, sidecars, time.monotonic() - started)


def export_lines(
    library: Library,
    label_set: str | None,
    options: ExportOptions,
    *,
    collection: str | None = None,
    filters: Filters | None = None,
) -> Iterator[str]:
    """The same as lines of text, computed as they are asked for: forms csv, jsonl and cloudevents without embeddings
    beside. What can be refused is refused at the call; files of images are not looked at. Raises as ``export_labels``.
    """
    if options.form not in TEXT_FORMS or (options.form == "cloudevents" and options.embeddings):
        raise InvalidInput(f"the form {options.form} cannot be given line by line; name a file or folder")
    rows, about = _prepared(library, label_set, options, collection, filters, check_files=False)
    return text_lines(rows, options, about["model"])


def _checked_target(target: Path | None, options: ExportOptions) -> Path | None:
    if options.form == "xmp":
        if target is not None:
            raise InvalidInput("sidecars are written beside the images; name no target for them")
        return None
    if target is None:
        if options.dry_run:
            return None
        raise InvalidInput("say where to write the dataset")
    if options.form == "parquet":
        check_parquet()
    # Not resolved: a link that stands there is not written through.
    place = Path(os.path.abspath(os.path.expanduser(target)))
    check_place(place)
    return place


def _prepared(
    library: Library,
    name: str | None,
    options: ExportOptions,
    collection: str | None,
    filters: Filters | None,
    **more: Any,
) -> tuple[LabelledImages, dict[str, Any]]:
    row = library.collection(collection)
    if name is not None:
        label_set, best = label_set_of(library, Labels(label_set=name)), options.top
    else:
        if options.form != "cloudevents":
            raise InvalidInput("name the label set whose labels are to be exported")
        label_set, best = label_set_of(library, Labels(label_set=BEST_OF)), options.top or BEST_WORDS
    rows = LabelledImages(library, row, label_set, options, filters or Filters(), best=best, **more)
    return rows, _about(row, label_set, options)


def _about(row: CollectionRow, label_set: LabelSetRow, options: ExportOptions) -> dict[str, Any]:
    """What made a dataset, for who finds it later."""
    split = options.parts
    return {
        "collection": row.name,
        "model": row.model_name,
        "label_set": label_set.name,
        "label_set_version": label_set.version or None,
        "label_set_digest": label_set.digest,
        "mode": label_set.mode,
        "by": options.by,
        "min_probability": options.min_probability,
        "split": dict(zip(("train", "valid", "test"), split.shares, strict=True)) if split is not None else None,
        "seed": split.seed if split is not None else None,
    }


def _report(
    rows: LabelledImages,
    options: ExportOptions,
    about: dict[str, Any],
    target: Path | None,
    copied: int,
    sidecars: dict[str, int],
    seconds: float,
) -> ExportReport:
    tally, split = rows.tally, options.parts
    parts = split.parts if split is not None else ()
    of_class: dict[str, Counter[str]] = {}
    for (name, part), count in tally.classes.items():
        of_class.setdefault(name, Counter())[part or ""] += count
    used = [cls for cls in rows.classes.every if of_class.get(cls.name, Counter()).total()]
    return ExportReport(
        collection=about["collection"],
        label_set=about["label_set"],
        label_set_version=about["label_set_version"],
        mode=about["mode"],
        model=about["model"],
        form=options.form,
        target=str(target).encode("utf-8", "replace").decode() if target is not None else None,
        dry_run=options.dry_run,
        images=len(rows.ids),
        labelled=tally.labelled,
        reviewed=tally.origins["review"],
        from_tags=tally.origins["tags"],
        classified=tally.origins["model"],
        parts={part: tally.parts[part] for part in parts},
        classes=[
            ClassCount(
                name=cls.name,
                category=cls.group or None,
                images=of_class[cls.name].total(),
                parts={part: of_class[cls.name][part] for part in parts},
            )
            for cls in used
        ],
        rejected={reason: count for reason, count in sorted(tally.rejected.items()) if count},
        rejected_written=options.keep_rejected and options.form != "xmp",
        copied=copied,
        sidecars=sidecars,
        failed=tally.failed,
        missing=tally.missing,
        seconds=round(seconds, 3),
    )
