"""The law of tags: what is read is what a classification from scratch would say, by the thresholds as they are now."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_fixtures import CountingEncoder, draw_many, index, library_with, sqlite_url

from clipsearch import reviewing
from clipsearch.browsing import list_images
from clipsearch.choices import choice_of, label_set_of
from clipsearch.database.label_sets import save_label_set
from clipsearch.encoder import Encoder
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels
from clipsearch.scoring import decide
from clipsearch.tagging import show_tags, tag_collection

IMAGES = 16
WORDS = ["sun", "moon", "star", "cloud", "rain", "snow"]
SHARES = st.one_of(st.none(), st.floats(0.0, 1.0))
COSINES = st.one_of(st.none(), st.floats(-0.5, 0.5))


@pytest.fixture(scope="module")
def images(shared_encoder: Encoder, migrated_file: Path) -> Iterator[Library]:
    """A library of a few images."""
    folder = Path(tempfile.mkdtemp(prefix="clipsearch-laws-"))
    draw_many(folder / "photos", IMAGES)
    sqlite_url(folder / "data", migrated_file)
    with library_with(CountingEncoder(shared_encoder), folder / "data") as library:
        index(library, folder / "photos")
        yield library
    shutil.rmtree(folder)


@st.composite
def label_sets(chooser: st.DrawFn) -> LabelSet:
    words = chooser(st.lists(st.sampled_from(WORDS), min_size=2, max_size=5, unique=True))
    mode: Any = chooser(st.sampled_from(["single", "multi", "binary"]))
    background = ("something else",) if mode == "single" and chooser(st.booleans()) else ()
    labels = tuple(
        Label(name=word, prompts=(word,), category=chooser(st.sampled_from([None, "light", "water"]))) for word in words
    )
    return thresholds(chooser, LabelSet(labels=labels, templates=("{}",), mode=mode, background=background))


def thresholds(chooser: st.DrawFn, label_set: LabelSet) -> LabelSet:
    """The same set with other thresholds: its digest, and so its scores, stay."""
    return LabelSet(
        labels=tuple(
            Label(name=one.name, prompts=one.prompts, category=one.category, min_score=chooser(COSINES),
                  min_probability=chooser(SHARES))
            for one in label_set.labels
        ),
        templates=label_set.templates,
        mode=label_set.mode,
        background=label_set.background,
        min_score=chooser(COSINES),
        min_probability=chooser(SHARES),
        min_margin=chooser(SHARES),
    )  # fmt: skip


def from_scratch(library: Library, top: int) -> dict[int, set[str]]:
    """The accepted labels of each image, from its embedding."""
    label_set, row = label_set_of(library, Labels(label_set="set")), library.collection()
    view = library.index(row)
    assert view is not None
    ids = view.index.ids()
    vectors = view.index.vectors(ids)
    vectors /= np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    ranked = choice_of(library, label_set, view.model, lambda: library.encoder_for(row)[0]).ranker(top, len(ids))(
        vectors
    )
    accepted = decide(label_set, ranked).accepted
    names = [label.name for label in label_set.labels]
    return {
        number: {names[place] for place, holds in zip(places, held, strict=True) if holds}
        for number, places, held in zip(ids.tolist(), ranked.positions.tolist(), accepted.tolist(), strict=True)
    }


def bearing(library: Library, wanted: str, **floors: float) -> set[int]:
    filters = Filters(tags=(wanted,), **floors)  # type: ignore[arg-type]
    return {one.id for one in list_images(library, filters=filters)}


def check(library: Library, label_set: LabelSet, expected: dict[int, set[str]]) -> None:
    for label in label_set.labels:
        assert bearing(library, f"set:{label.name}") == {key for key, value in expected.items() if label.name in value}
    for category in {label.category for label in label_set.labels} - {None}:
        names = {label.name for label in label_set.labels if label.category == category}
        assert bearing(library, f"set:{category}") == {key for key, value in expected.items() if names & value}
    assert bearing(library, "set") == {key for key, value in expected.items() if value}
    assert bearing(library, "set:-") == {key for key, value in expected.items() if not value}
    counts = show_tags(library, "set")
    assert counts.rejected == sum(not value for value in expected.values())
    assert {one.label: one.images for one in counts.labels} == {
        label.name: sum(label.name in value for value in expected.values()) for label in label_set.labels
    }


@given(st.data(), label_sets(), st.integers(1, 6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_tags_are_what_a_classification_from_scratch_says(
    images: Library, data: st.DataObject, label_set: LabelSet, top: int
) -> None:
    library = images
    save(library, label_set)
    tag_collection(library, "set", top=top)
    check(library, label_set, from_scratch(library, top))

    # Thresholds that change afterwards: nothing is tagged anew, and the answer is that of the thresholds now.
    changed = data.draw(st.composite(thresholds)(label_set))
    save(library, changed)
    expected = from_scratch(library, top)
    check(library, changed, expected)
    assert tag_collection(library, "set", top=top).tagged == 0

    # What people said stands before it.
    names = [label.name for label in label_set.labels]
    said = data.draw(st.dictionaries(st.integers(1, IMAGES), st.lists(st.sampled_from(names), max_size=1), max_size=4))
    for image, labels in said.items():
        reviewing.correct(library, "set", image, labels)
    check(library, changed, expected | {image: set(labels) for image, labels in said.items()})
    for image in said:
        reviewing.undo(library, "set", image)


@given(label_sets(), st.floats(0.0, 1.0), st.floats(-0.5, 0.5))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_thresholds_of_a_query_stand_in_the_place_of_all_others(
    images: Library, label_set: LabelSet, probability: float, score: float
) -> None:
    library = images
    save(library, label_set)
    tag_collection(library, "set")
    floors = {"min_tag_probability": probability, "min_tag_score": score}
    found = {label.name: bearing(library, f"set:{label.name}", **floors) for label in label_set.labels}
    plain = LabelSet(
        labels=tuple(Label(name=one.name, prompts=one.prompts) for one in label_set.labels),
        templates=label_set.templates,
        mode=label_set.mode,
        background=label_set.background,
        min_score=score,
        min_probability=probability,
        min_margin=label_set.min_margin,
    )
    save(library, plain)
    expected = from_scratch(library, 3)
    assert found == {name: {key for key, value in expected.items() if name in value} for name in found}


def save(library: Library, label_set: LabelSet) -> None:
    with library.database.write() as connection:
        save_label_set(connection, "set", label_set, replace=True)
