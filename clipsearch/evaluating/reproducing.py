"""Compares published figures with what the software makes of the same pictures; what lacks a picture, a data set or
weights is named with what is needed, and counts as not checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clipsearch.answers import FigureCheck, ReferenceReport
from clipsearch.choices import choice_of
from clipsearch.database.label_sets import LabelRow, LabelSetRow
from clipsearch.database.models import ModelRow, keep_model
from clipsearch.errors import ClipSearchError, UnreadableImage
from clipsearch.evaluating.pictures import embed_pictures, encode_files
from clipsearch.evaluating.published import Dataset, PublishedAccuracy, PublishedNumbers
from clipsearch.evaluating.reference_files import ReferenceFiles
from clipsearch.images import open_picture, path_of
from clipsearch.library import Library
from clipsearch.metrics.classification import accuracy, mean_per_class_recall
from clipsearch.prompts import PLAIN_TEMPLATE

if TYPE_CHECKING:
    from clipsearch.choices import Choice
    from clipsearch.encoder import Encoder

Published = PublishedNumbers | PublishedAccuracy


def reproduce(
    library: Library,
    data: str | os.PathLike[str] | None = None,
    published: Sequence[Published] | None = None,
    *,
    told: Callable[[str], None] = lambda _name: None,
) -> ReferenceReport:
    """Check every published figure for which there are weights on this machine and pictures below ``data``.

    No weights are downloaded. ``told`` hears the name of each figure that is about to be measured. Raises
    SourceNotFound for a folder that is not there.
    """
    if published is None:
        from clipsearch.evaluating.published import NUMBERS
        from clipsearch.evaluating.published_accuracies import ACCURACIES

        published = (*NUMBERS, *ACCURACIES)
    files = ReferenceFiles(Path(os.path.expanduser(os.fspath(data))) if data is not None else None)
    bench = _Bench(library, files)
    checks = []
    for figure in published:
        checks.append(_checked(bench, figure, told))
    states = [check.state for check in checks]
    return ReferenceReport(
        reproduced=states.count("reproduced"),
        different=states.count("different"),
        not_checked=states.count("not checked"),
        checks=checks,
    )


class _Lacking(Exception):
    """A figure cannot be checked; the message names what is needed."""


def _checked(bench: _Bench, figure: Published, heard: Callable[[str], None]) -> FigureCheck:
    published = [figure.value] if isinstance(figure, PublishedAccuracy) else list(figure.values)
    quantity = figure.metric if isinstance(figure, PublishedAccuracy) else figure.quantity
    told: dict[str, Any] = {
        "name": figure.name, "source": figure.source, "model": figure.model, "quantity": quantity,
        "published": published, "tolerance": figure.tolerance,
    }  # fmt: skip
    lacking = bench.lacking(figure)
    if lacking:
        return FigureCheck(**told, state="not checked", needed=lacking)
    heard(figure.name)
    try:
        measured = bench.accuracy(figure) if isinstance(figure, PublishedAccuracy) else bench.numbers(figure)
    except (_Lacking, UnreadableImage) as error:
        return FigureCheck(**told, state="not checked", needed=[str(error)])
    difference = float(np.abs(np.array(measured) - np.array(published)).max())
    # A NaN is different from everything.
    state: Literal["reproduced", "different"] = "reproduced" if difference <= figure.tolerance else "different"
    return FigureCheck(**told, state=state, measured=measured, difference=difference)


class _Bench:
    """The models and pictures of one comparison; one model is held at a time by the library, predictions by us."""

    def __init__(self, library: Library, files: ReferenceFiles) -> None:
        self._library = library
        self._files = files
        self._usable: dict[str, str] = {}  # why a model cannot be used, empty where it can
        self._scored: dict[tuple[str, str, tuple[str, ...]], dict[str, float]] = {}

    def numbers(self, figure: PublishedNumbers) -> list[float]:
        """What is measured in the place of the published numbers. Raises _Lacking."""
        picture = (self._files.picture(figure.picture) or "") if figure.picture else ""
        encoder = self._encoder(figure.model)
        if figure.quantity == "text embedding":
            encoded = encoder.encode_texts(list(figure.texts))
            row = encoded.vectors[0] * (encoded.norms[0] if figure.raw else 1)
            return [float(value) for value in row[: len(figure.values)]]
        if figure.quantity == "image embedding":
            opened = open_picture(Path(path_of(picture)), max_pixels=self._library.settings.max_pixels)
            encoded = encoder.encode_images([opened.picture])
            row = encoded.vectors[0] * (encoded.norms[0] if figure.raw else 1)
            return [float(value) for value in row[: len(figure.values)]]
        rows, faults = encode_files(self._library, [picture], encoder)
        if rows[0] is None:
            raise _Lacking(f"the picture {picture} cannot be used: {faults[0].reason}")
        choice = self._choice(figure.model, encoder, figure.texts, (PLAIN_TEMPLATE,))
        ranked = choice.ranker(None, 1)(rows[0][None])
        values = {"cosine": ranked.scores, "logit": ranked.logits, "probability": ranked.probabilities}[figure.quantity]
        found = np.full(len(figure.texts), np.nan)
        found[ranked.positions[0]] = values[0]
        return [float(value) for value in found]

    def accuracy(self, figure: PublishedAccuracy) -> list[float]:
        """The accuracy of this model on the data set below the folder. Raises _Lacking."""
        key = (figure.model, figure.dataset.name, figure.templates)
        if key not in self._scored:
            self._scored[key] = self._measured(figure.model, figure.dataset, figure.templates)
        return [self._scored[key][figure.metric]]

    def _measured(self, name: str, dataset: Dataset, templates: tuple[str, ...]) -> dict[str, float]:
        folder, found = self._files.dataset(dataset) or ("", [])
        encoder = self._encoder(name)
        classes = list(dataset.names)
        choice = self._choice(name, encoder, list(dataset.names.values()), templates)
        uris = [uri for uri, _ in found]
        embedded = embed_pictures(self._library, uris, choice.model, lambda: encoder)
        if embedded.failed:
            first = embedded.failed[0]
            raise _Lacking(
                f"{len(embedded.failed)} pictures of {folder} cannot be read, first {first.uri}: {first.reason}"
            )
        truth = np.array([classes.index(label) for _, label in found], dtype=np.int64)
        rank = choice.ranker(1, len(uris))
        blocks = [rank(embedded.vectors[at : at + 4096]).positions[:, 0] for at in range(0, len(uris), 4096)]
        predicted = np.concatenate(blocks)
        return {
            "accuracy_at_1": accuracy(truth, predicted),
            "mean_per_class_recall": mean_per_class_recall(truth, predicted, len(classes)),
        }

    def lacking(self, figure: Published) -> list[str]:
        """What is needed for this figure and not there."""
        found = [self._without_pictures(figure)]
        if figure.model not in self._usable:
            self._usable[figure.model] = _why_not(figure.model)
        found.append(self._usable[figure.model])
        return [reason for reason in found if reason]

    def _without_pictures(self, figure: Published) -> str:
        if isinstance(figure, PublishedNumbers):
            if not figure.picture or self._files.picture(figure.picture) is not None:
                return ""
            return f"the picture {figure.picture} is needed ({figure.where}); name its folder with --data"
        dataset = figure.dataset
        found = self._files.dataset(dataset)
        if found is None:
            return f"the data set {dataset.name} is needed: {dataset.where}; name its folder with --data"
        if len(found[1]) != dataset.pictures:
            held = f"{found[0]} holds {len(found[1]):,} pictures"
            return f"{held}, but the figure is of {dataset.pictures:,}: {dataset.where}"
        return ""

    def _encoder(self, name: str) -> Encoder:
        try:
            return self._library.encoder(name)
        except ClipSearchError as error:
            self._usable[name] = f"the weights of {name} are needed: {error.message}"
            raise _Lacking(self._usable[name]) from error

    def _choice(self, name: str, encoder: Encoder, words: Iterable[str], templates: tuple[str, ...]) -> Choice:
        labels = tuple(LabelRow(name=text, prompts=(text,), position=position) for position, text in enumerate(words))
        with self._library.database.write() as connection:
            model: ModelRow = keep_model(connection, encoder.model)
        return choice_of(self._library, LabelSetRow(labels=labels, templates=templates), model, lambda: encoder)


def _why_not(name: str) -> str:
    from clipsearch.encoder import describe_model

    try:
        described = describe_model(name)
    except ClipSearchError as error:
        return f"the weights of {name} are needed: {error.message}"
    if described["downloaded"]:
        return ""
    return f"the weights of {name} are needed on this machine: clipsearch models download {name}"
