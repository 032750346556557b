"""True numbers of CLIP ViT-B/32 by OpenAI: what is imported is searched and classified as CLIP itself would."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_fixtures import sqlite_url

from clipsearch.answers import Prediction
from clipsearch.classifying import classify_stored
from clipsearch.config import Settings
from clipsearch.database.images import get_image
from clipsearch.database.label_sets import get_label_set, save_label_set
from clipsearch.database.models import find_model
from clipsearch.database.reviews import save_review
from clipsearch.evaluating import EvaluationOptions, Side, evaluate, read_reviews
from clipsearch.examining import examine
from clipsearch.importing import import_embeddings, import_label_set
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.queries import Labels, Query, Term
from clipsearch.searching import search

pytestmark = pytest.mark.golden

MODEL = "ViT-B-32/openai"
SETS = ("coco80", "oid500", "o365", "lvis1203")
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def imported(true_clip: Path, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The images and all label sets, imported as the command line does it."""
    folder = tmp_path_factory.mktemp("golden")
    sqlite_url(folder, migrated_file)
    library = Library.open(Settings(data_dir=folder, model=MODEL))
    report = import_embeddings(
        library,
        true_clip / "clip_vitb32_image_embeddings_fp16.npy",
        true_clip / "clip_vitb32_image_names.json",
        model=MODEL,
        logit_scale=100,
        logit_bias=0,
    )
    assert (report.imported, report.failed, report.model) == (7, [], MODEL)
    for name in SETS:
        embeddings, names = (true_clip / f"clip_vitb32_text_{name}_{what}" for what in ("fp16.npy", "labels.json"))
        imported = import_label_set(library, name, embeddings, names, model=MODEL, templates=("a {}",))
        repeated = {"oid500": ["Bench", "Mouse"]}.get(name, [])
        assert len(imported.warnings) == len(repeated)
        assert all(label in warning for label, warning in zip(repeated, imported.warnings, strict=True))
    return library


def top_five(library: Library, name: str) -> dict[str, list[Prediction]]:
    answer = classify_stored(library, Labels(label_set=name), top=8)
    assert (answer.templates, answer.label_set, answer.model) == (["a {}"], name, MODEL)
    return {one.uri: one.predictions for one in answer.results}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("place", range(7))
def test_the_five_most_probable_labels_and_their_probabilities_are_those_of_clip(
    imported: Library, clip_expects: dict[str, Any], name: str, place: int
) -> None:
    image = clip_expects["images"][place]
    wanted, found = clip_expects["topk"][name][image], top_five(imported, name)[image]
    last = wanted[-1][1]
    # As a set; labels whose scores are within a thousandth of the last may take its place.
    labels, theirs = Counter(one.label for one in found[:5]), Counter(label for label, *_ in wanted)
    differing = (labels - theirs) + (theirs - labels)
    scores = {one.label: one.score for one in found}
    assert all(abs(scores[label] - last) <= TOLERANCE for label in differing), (wanted, found[:5])
    assert [one.score for one in found[:5]] == pytest.approx([score for _, score, _ in wanted], abs=TOLERANCE)
    assert [one.probability for one in found[:5]] == pytest.approx([share for *_, share in wanted], abs=TOLERANCE)
    assert all(one.logit == pytest.approx(100 * one.score, abs=1e-6) for one in found)


def test_the_probabilities_of_every_set_add_up_to_one(imported: Library) -> None:
    for name in SETS:
        for one in classify_stored(imported, Labels(label_set=name), top=None).results:
            assert sum(prediction.probability for prediction in one.predictions) == pytest.approx(1.0, abs=1e-9)


def test_repeated_names_are_two_labels_told_apart_by_position(imported: Library, true_clip: Path) -> None:
    names = json.loads((true_clip / "clip_vitb32_text_oid500_labels.json").read_text())
    places = [place for place, name in enumerate(names) if name == "Bench"]
    found = [one for one in top_five(imported, "oid500")["208_495"] if one.label == "Bench"]
    assert [one.position for one in found] == places
    assert found[0].probability == pytest.approx(found[1].probability)


def test_a_search_with_a_labels_embedding_finds_the_images_that_clip_finds(
    imported: Library, clip_expects: dict[str, Any], true_clip: Path
) -> None:
    names = json.loads((true_clip / "clip_vitb32_text_oid500_labels.json").read_text())
    rows = np.load(true_clip / "clip_vitb32_text_oid500_fp16.npy").astype(np.float64)
    assert len(clip_expects["text_to_image"]) >= 6
    for label, wanted in clip_expects["text_to_image"].items():
        term = Term(vector=tuple(rows[names.index(label)].tolist()))
        hits = search(imported, Query(terms=(term,), k=len(wanted))).hits
        assert [hit.image.uri for hit in hits] == [image for image, _ in wanted]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in wanted], abs=TOLERANCE)


def test_the_scale_is_kept_with_the_model_and_no_model_is_loaded(imported: Library) -> None:
    with imported.database.read() as connection:
        row = find_model(connection, MODEL)
    assert row is not None
    assert (row.model.logit_scale, row.model.logit_bias, row.model.scoring) == (100.0, 0.0, "softmax")
    assert imported.loaded_encoder(MODEL) is None


def test_the_doctor_has_nothing_against_imported_embeddings(imported: Library) -> None:
    report = examine(imported)
    assert report.healthy
    assert {one.severity for one in report.findings} <= {"info"}


def test_the_probabilities_of_categories_are_the_sums_of_their_labels(imported: Library) -> None:
    with imported.database.write() as connection:
        row = get_label_set(connection, "lvis1203")
        # By first letter: words, and with them the embeddings that came with them, stay as they are.
        labels = tuple(Label(name=one.name, prompts=one.prompts, category=one.name[0].lower()) for one in row.labels)
        save_label_set(connection, "lvis1203", LabelSet(labels=labels, templates=row.templates), replace=True)
    for one in classify_stored(imported, Labels(label_set="lvis1203"), top=None).results:
        sums: dict[str, list[float]] = {}
        for prediction in one.predictions:
            sums.setdefault(str(prediction.category), []).append(prediction.probability)
        assert {share.category: share.probability for share in one.categories} == pytest.approx(
            {category: math.fsum(each) for category, each in sums.items()}, abs=1e-12
        )
        assert math.fsum(share.probability for share in one.categories) == pytest.approx(1.0, abs=1e-12)
        for share in one.categories:
            assert share.label == next(each.label for each in one.predictions if each.category == share.category)


def test_a_cold_start_answers_the_same_to_the_last_bit_and_encodes_no_text(imported: Library) -> None:
    for name in SETS:
        with Library.open(imported.settings) as cold:
            warm = classify_stored(imported, Labels(label_set=name), top=None)
            assert classify_stored(cold, Labels(label_set=name), top=None) == warm
            assert cold.loaded_encoder(MODEL) is None


def test_an_evaluation_of_reviewed_images_agrees_with_clip(imported: Library, clip_expects: dict[str, Any]) -> None:
    wanted = {image: best[0] for image, best in clip_expects["topk"]["coco80"].items()}
    row = imported.collection()
    with imported.database.write() as connection:
        label_set = get_label_set(connection, "coco80")
        for image, (label, *_) in wanted.items():
            found = get_image(connection, row.id, uri=image)
            save_review(connection, label_set.id, label_set.version, found, "accepted", [label])
    options = EvaluationOptions(resamples=20)
    answer = evaluate(imported, read_reviews(imported, "coco80"), [Side(label_set="coco80")], options=options)
    (measured,) = answer.contenders
    assert (measured.images, measured.encoded, measured.mistakes) == (7, 0, [])
    assert {name: measured.figures[name].value for name in ("accuracy_at_1", "accuracy_at_5")} == {
        "accuracy_at_1": 1.0,
        "accuracy_at_5": 1.0,
    }
    # Everything was right, so that in each bin the miss is one less the mean probability.
    missed = 1 - np.mean([share for *_, share in wanted.values()])
    assert measured.figures["calibration_error"].value == pytest.approx(missed, abs=TOLERANCE)
    assert imported.loaded_encoder(MODEL) is None
