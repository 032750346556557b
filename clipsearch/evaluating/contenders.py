"""One side of an evaluation: which model and which labels, and the samples brought to arrays for both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import FailedFile
from clipsearch.choices import Choice, choice_of, label_set_of
from clipsearch.database import models as model_rows
from clipsearch.database.collections import find_collection
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.label_sets import LabelRow, LabelSetRow
from clipsearch.database.models import ModelRow
from clipsearch.errors import InvalidInput
from clipsearch.evaluating.class_names import comparable, places_of
from clipsearch.evaluating.outcomes import MultiOutcome, SingleOutcome, multi_outcome, single_outcome
from clipsearch.evaluating.pictures import OnProgress, embed_pictures
from clipsearch.evaluating.samples import Material, Sample
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES, check_template
from clipsearch.queries import Labels

if TYPE_CHECKING:
    from clipsearch.encoder import Encoder


@dataclass(frozen=True)
class Side:
    """What is measured: the labels of a set, or those that the classes give with these templates; and the model,
    that of the collection where none is named. ``renamed`` says which label a class stands for."""

    label_set: str | None = None
    templates: tuple[str, ...] = ()
    model: str | None = None
    renamed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Bench:
    """A model with the embeddings of the samples: unit rows float32 [n, d] of those at ``places``."""

    model: ModelRow
    encoder: Callable[[], Encoder]
    places: list[int]
    vectors: NDArray[np.float32]
    encoded: int
    failed: list[FailedFile]


@dataclass(frozen=True, eq=False)
class Marked:
    """The samples of a bench whose truth a label set can tell: rows of the bench, their places among the samples, and
    the positions of their true labels. ``unknown`` counts the samples by class that no label stands for, and
    ``none_of_them`` those that a person gave no label, which the mode single has no figure for."""

    rows: list[int]
    places: list[int]
    truth: list[tuple[int, ...]]
    unknown: dict[str, int]
    unmarked: list[FailedFile]
    none_of_them: int = 0


def model_of(library: Library, name: str | None, collection: str | None) -> tuple[ModelRow, Callable[[], Encoder]]:
    """The model of this name, else that of the collection, else that of the settings; loaded when it is needed.

    Raises CollectionNotFound for a collection that is named and not there, ModelNotFound, ModelUnavailable.
    """
    with library.database.read() as connection:
        row = find_collection(connection, collection or library.settings.collection)
    if row is None and collection is not None:
        library.collection(collection)  # raises, with the names that there are
    wanted = library.model_name(name or (row.model_name if row else None))
    if row is not None and row.model_name == wanted:
        kept = library.model_of(row)
        if kept is not None:
            collection_row = row
            return kept, lambda: library.encoder_for(collection_row)[0]
    encoder = library.encoder(wanted)
    with library.database.write() as connection:
        return model_rows.keep_model(connection, encoder.model), lambda: encoder


def bench_of(
    library: Library, material: Material, name: str | None, collection: str | None, on_progress: OnProgress | None
) -> Bench:
    """The embeddings of the samples by a model; raises as ``model_of``, and InvalidInput when there are none."""
    model, encoder = model_of(library, name, collection)
    samples = material.samples
    kept = _of_images(library, model, samples)
    others = [place for place in range(len(samples)) if place not in kept]
    embedded = embed_pictures(library, [samples[place].uri for place in others], model, encoder, on_progress)
    kept |= {others[row]: vector for row, vector in zip(embedded.positions, embedded.vectors, strict=True)}
    if not kept:
        reason = f": {embedded.failed[0].reason} ({embedded.failed[0].uri})" if embedded.failed else ""
        raise InvalidInput(f"none of the {len(samples)} pictures of {material.name} can be used{reason}")
    places = sorted(kept)
    return Bench(model, encoder, places, np.stack([kept[place] for place in places]), embedded.encoded, embedded.failed)


def _of_images(library: Library, model: ModelRow, samples: Sequence[Sample]) -> dict[int, NDArray[np.float32]]:
    """What the library holds of samples that are images of a collection, by place."""
    places = {sample.image_id: place for place, sample in enumerate(samples) if sample.image_id is not None}
    with library.database.read() as connection:
        found = vectors_of(connection, model.id, model.model.dimension, list(places))
    return {places[number]: vector for number, vector in found.items()}


def labels_for(library: Library, side: Side, material: Material) -> LabelSetRow:
    """The stored or built-in set, or one whose labels are the classes: ``multi`` where a sample has several of them.

    Raises LabelSetNotFound, InvalidLabelSet, InvalidTemplate.
    """
    if side.label_set is not None:
        label_set = label_set_of(library, Labels(label_set=side.label_set))
        if side.templates:
            templates = tuple(check_template(one) for one in side.templates)
            return replace(label_set, id=0, version=0, templates=templates)
        return label_set
    renamed = renamed_classes(material, side.renamed)
    names = list(dict.fromkeys(renamed.get(name, name) for name in material.classes))
    single = all(len(sample.labels) == 1 for sample in material.samples)
    return LabelSetRow(
        labels=tuple(LabelRow(name=name, prompts=(name,), position=place) for place, name in enumerate(names)),
        templates=tuple(check_template(one) for one in side.templates) or DEFAULT_TEMPLATES,
        mode="single" if single else "multi",
    )


def renamed_classes(material: Material, renamed: dict[str, str]) -> dict[str, str]:
    """The labels that classes stand for where their names differ, by class; a class may be called by its folder's name
    and in any spelling. Raises InvalidInput for one that the material does not have."""
    called = {comparable(name): name for name in material.classes}
    called |= {
        comparable(folder): name for name, folder in material.folders.items() if comparable(folder) not in called
    }
    for name in renamed:
        if comparable(name) not in called:
            raise InvalidInput(f"{material.name} has no class {name!r}; there are {', '.join(material.classes[:10])}")
    return {called[comparable(name)]: label for name, label in renamed.items()}


def check_classes(material: Material, label_set: LabelSetRow, renamed: dict[str, str]) -> None:
    """Raises InvalidInput when none of the classes is a label of the set, or one is renamed that is not there."""
    if not material.classes:
        raise InvalidInput(f"no picture of {material.name} has a label")
    names = [label.name for label in label_set.labels]
    known, unknown = places_of(material.classes, names, renamed_classes(material, renamed))
    if not known:
        raise InvalidInput(
            f"no class of {material.name} is a label of {label_set.name or 'the set'!r} (there are "
            f"{', '.join(unknown[:5])}); say which label each stands for: --map CLASS=LABEL"
        )


def marked(bench: Bench, material: Material, label_set: LabelSetRow, renamed: dict[str, str]) -> Marked:
    """The truth of the bench's samples as positions of this set. Raises InvalidInput when none is left to measure."""
    names = [label.name for label in label_set.labels]
    known, unknown = places_of(material.classes, names, renamed_classes(material, renamed))
    lost = set(unknown)
    counts = Counter(name for place in bench.places for name in material.samples[place].labels if name in lost)
    single = label_set.mode == "single"
    found = Marked([], [], [], dict(sorted(counts.items())), [])
    none_of_them = 0
    for row, place in enumerate(bench.places):
        sample = material.samples[place]
        if any(name in lost for name in sample.labels):
            continue
        if single and not sample.labels and material.kind == "reviews":
            none_of_them += 1
            continue
        if single and not sample.labels:
            reason = "it has no label, which a label set of the mode single cannot be measured by"
            found.unmarked.append(FailedFile(uri=sample.uri, code="no_label", reason=reason))
            continue
        found.rows.append(row)
        found.places.append(place)
        found.truth.append(tuple(dict.fromkeys(known[name] for name in sample.labels)))
    if not found.rows:
        raise InvalidInput(f"no picture of {material.name} with a known label can be used")
    return replace(found, none_of_them=none_of_them)


def outcome_of(
    library: Library, bench: Bench, told: Marked, label_set: LabelSetRow
) -> tuple[SingleOutcome | MultiOutcome, Choice]:
    """What the set makes of the marked samples, and what they were held against."""
    choice = choice_of(library, label_set, bench.model, bench.encoder)
    vectors = bench.vectors[told.rows]
    if label_set.mode == "single" and all(len(one) == 1 for one in told.truth):
        return single_outcome(choice, vectors, told.places, [one[0] for one in told.truth]), choice
    return multi_outcome(choice, vectors, told.places, told.truth), choice


def named(samples: Sequence[Sample]) -> dict[str, int]:
    """How many samples have each class, the most frequent first."""
    counts = Counter(label for sample in samples for label in sample.labels)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
