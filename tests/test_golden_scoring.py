"""True numbers of CLIP ViT-B/32 by OpenAI under label sets of every kind: equal to plain arithmetic on the same rows,
warm and from a cold start, with no text encoded."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_fixtures import sqlite_url
from numpy.typing import NDArray

from clipsearch.answers import Classification
from clipsearch.classifying import classify_stored
from clipsearch.config import Settings
from clipsearch.database.label_sets import get_label_set, save_label_set
from clipsearch.errors import ModelUnavailable
from clipsearch.importing import import_embeddings, import_label_set
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.queries import Labels

pytestmark = pytest.mark.golden

MODEL = "ViT-B-32/openai"
SETS = {"coco80": 80, "o365": 365, "oid500": 500, "lvis1203": 1203}
TOLERANCE = 1e-3
CATEGORIES = 7


@pytest.fixture(scope="module")
def folder(true_clip: Path, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the images and the label sets, each of them a second time with categories."""
    folder = tmp_path_factory.mktemp("golden-scoring")
    sqlite_url(folder, migrated_file)
    library = Library.open(Settings(data_dir=folder, model=MODEL))
    images, names = (true_clip / f"clip_vitb32_image_{what}" for what in ("embeddings_fp16.npy", "names.json"))
    import_embeddings(library, images, names, model=MODEL, logit_scale=100, logit_bias=0)
    for name in SETS:
        embeddings, labels = (true_clip / f"clip_vitb32_text_{name}_{what}" for what in ("fp16.npy", "labels.json"))
        import_label_set(library, name, embeddings, labels, model=MODEL, templates=("a {}",))
    library.close()
    return folder


@pytest.fixture
def cold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library opened anew, which fails where a model is asked for."""

    def refuse(_library: Library, name: str) -> None:
        raise AssertionError(f"the model {name} was asked for")

    monkeypatch.setattr(Library, "encoder", refuse)
    return Library.open(Settings(data_dir=folder, model=MODEL))


def plain(true_clip: Path, name: str) -> dict[str, NDArray[np.float64]]:
    """Of each image the softmax over the labels, by nothing but numpy."""
    images = np.load(true_clip / "clip_vitb32_image_embeddings_fp16.npy").astype(np.float64)
    labels = np.load(true_clip / f"clip_vitb32_text_{name}_fp16.npy").astype(np.float64)
    images, labels = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, labels))
    powers = np.exp(100.0 * (images @ labels.T))
    names = json.loads((true_clip / "clip_vitb32_image_names.json").read_text())
    return dict(zip(names, powers / powers.sum(axis=1, keepdims=True), strict=True))


def in_order(one: Classification) -> list[float]:
    return [found.probability for found in sorted(one.predictions, key=lambda found: found.position)]


@pytest.mark.parametrize("name", SETS)
def test_every_probability_is_that_of_plain_arithmetic_from_a_cold_start_and_after(
    cold: Library, true_clip: Path, clip_expects: dict[str, Any], name: str
) -> None:
    first, wanted = classify_stored(cold, Labels(label_set=name), top=None), plain(true_clip, name)
    assert classify_stored(cold, Labels(label_set=name), top=None) == first
    assert len(first.results) == 7
    for one in first.results:
        assert len(one.predictions) == SETS[name]
        assert in_order(one) == pytest.approx(wanted[one.uri].tolist(), abs=TOLERANCE)
        assert math.fsum(in_order(one)) == pytest.approx(1.0, abs=1e-12)
        shares = [share for *_, share in clip_expects["topk"][name][one.uri]]
        assert [found.probability for found in one.predictions[: len(shares)]] == pytest.approx(shares, abs=TOLERANCE)
    assert cold.loaded_encoder(MODEL) is None


@pytest.mark.parametrize("name", SETS)
def test_categories_add_up_exactly_and_cost_no_text(cold: Library, name: str) -> None:
    changed = with_categories(cold, name)
    for one in classify_stored(cold, Labels(label_set=name), top=None).results:
        shares = in_order(one)
        assert len(one.categories) == CATEGORIES
        assert [share.probability for share in one.categories] == sorted(
            (share.probability for share in one.categories), reverse=True
        )
        for found in one.categories:
            members = [
                share for share, label in zip(shares, changed.labels, strict=True) if label.category == found.category
            ]
            assert found.probability == pytest.approx(math.fsum(members), abs=1e-15)
        assert math.fsum(found.probability for found in one.categories) == pytest.approx(1.0, abs=1e-12)
        assert one.category == one.categories[0].category


def test_a_changed_threshold_rejects_from_the_same_scores(cold: Library) -> None:
    before = classify_stored(cold, Labels(label_set="coco80"), top=3)
    after = classify_stored(cold, Labels(label_set="coco80", min_probability=0.5), top=3)
    assert [one.label for one in after.results] != [one.label for one in before.results]
    for old, new in zip(before.results, after.results, strict=True):
        assert [found.probability for found in new.predictions] == [found.probability for found in old.predictions]
        enough = old.predictions[0].probability >= 0.5
        assert (new.label, new.rejected) == ((old.label, None) if enough else (None, "probability"))


def test_each_label_on_its_own_is_told_without_a_model_by_labels_that_are_each_others_crowd(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_library: Library, name: str) -> None:
        raise ModelUnavailable(f"{name} is not here")

    monkeypatch.setattr(Library, "encoder", away)
    library = Library.open(Settings(data_dir=folder, model=MODEL))
    with library.database.write() as connection:
        known = get_label_set(connection, "coco80")
        labels = tuple(Label(name=label.name, prompts=label.prompts) for label in known.labels)
        wanted = LabelSet(labels=labels, templates=known.templates, mode="multi")
        save_label_set(connection, "coco80", wanted, replace=True)
    found = {one.uri: one for one in classify_stored(library, Labels(label_set="coco80"), top=None).results}
    first = {uri: one.predictions[0].label for uri, one in found.items()}
    assert first["123_456"] == first["456_123"] == "cat"
    assert first["389_535"] == "motorcycle"
    assert "cat" in found["123_456"].labels
    assert all(len(one.labels) <= 8 for one in found.values())


def with_categories(library: Library, name: str) -> LabelSet:
    """The set with every seventh label in one category, stored in its place."""
    with library.database.write() as connection:
        known = get_label_set(connection, name)
        labels = [
            Label(name=label.name, prompts=label.prompts, category=f"category {place % CATEGORIES}")
            for place, label in enumerate(known.labels)
        ]
        wanted = LabelSet(labels=tuple(labels), templates=known.templates)
        return save_label_set(connection, name, wanted, replace=True)
