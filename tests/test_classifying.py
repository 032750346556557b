"""Classifying: the arithmetic of a choice, what is cached, and pictures that are given or stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from library_fixtures import CountingEncoder, draw_many, index, library_with, unit_rows
from sqlalchemy import func, select

from clipsearch import browsing
from clipsearch.classifying import PictureSource, classify_all, classify_pictures, classify_stored
from clipsearch.database import collections as collection_rows
from clipsearch.database.schema import prompt_embedding
from clipsearch.errors import (
    CollectionNotFound,
    EmptyText,
    ImageNotFound,
    InvalidInput,
    InvalidLabelSet,
    InvalidTemplate,
    InvalidVector,
    LabelSetNotFound,
    TextTooLong,
)
from clipsearch.importing import import_label_set
from clipsearch.label_files import draft_of
from clipsearch.label_set import Label, LabelSet
from clipsearch.labelling import delete_label_set, save_label_set
from clipsearch.library import Library
from clipsearch.matrices import Choices
from clipsearch.model import Model
from clipsearch.queries import Filters, Labels
from clipsearch.recent import Recent
from clipsearch.scoring import Ranked, Targets, ranker, softmax
from clipsearch.scoring.targets import multiply

PETS = Labels(labels=("cat", "dog", "boat"))


def sources(paths: list[Path]) -> list[PictureSource]:
    return [PictureSource(path.name, path) for path in paths]


def rank(images: Any, labels: Any, model: Model, top: int | None) -> Ranked:
    label_set = LabelSet(labels=tuple(Label(name=str(place)) for place in range(len(labels))))
    targets = Targets.of([row[None] for row in labels])
    return ranker(label_set, targets, model, top=top, images=len(images))(images)


@pytest.fixture
def filled(any_library: Library, photos: Path) -> Library:
    draw_many(photos, 12)
    index(any_library, photos)
    return any_library


# The arithmetic --------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-300, 300), min_size=2, max_size=30), st.floats(-1e6, 1e6))
def test_a_softmax_adds_up_to_one_keeps_the_order_and_ignores_what_all_share(
    logits: list[float], shared: float
) -> None:
    row = np.array([logits])
    found = softmax(row)
    assert found.sum() == pytest.approx(1.0)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    order = np.argsort(row[0], kind="stable")
    assert (np.diff(found[0][order]) >= 0).all()
    assert softmax(row + shared) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(("scale", "bias"), [(100.0, 0.0), (117.33, -12.93), (1.0, 0.0)])
def test_probabilities_come_of_the_models_own_scale_and_bias(scale: float, bias: float) -> None:
    images, labels = unit_rows(4, 8), unit_rows(5, 8, seed=1)
    found = rank(images, labels, Model("m", 8, scale, bias), None)
    for place, row in enumerate(images):
        logits = np.array([scale * float(row @ label) + bias for label in labels])
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        positions = found.positions[place]
        assert found.logits[place] == pytest.approx(logits[positions], abs=1e-4)
        assert found.probabilities[place] == pytest.approx(shares[positions], abs=1e-5)
        assert (np.diff(found.probabilities[place]) <= 0).all()


def test_equal_labels_keep_their_order_and_top_cuts() -> None:
    labels = np.repeat(unit_rows(1, 8), 4, axis=0)
    found = rank(unit_rows(1, 8), labels, Model("m", 8, 100.0), 3)
    assert found.positions.tolist() == [[0, 1, 2]]
    assert found.probabilities[0] == pytest.approx(0.25)
    assert found.margins[0] == pytest.approx(0.0)


def test_a_label_is_the_mean_of_its_unit_prompts_brought_back_to_unit_length(
    filled: Library, encoder: CountingEncoder
) -> None:
    draft = draft_of([("cat", ["cat", "kitten"]), ("dog", ["dog"])], ["a photo of a {}.", "{}"])
    save_label_set(filled, "pets", draft)
    answer = classify_stored(filled, Labels(label_set="pets"), top=None)
    texts = encoder.encode_texts(["a photo of a cat.", "cat", "a photo of a kitten.", "kitten"]).vectors
    mean = texts.astype("<f2").astype(np.float64).mean(axis=0)
    mean /= np.linalg.norm(mean)
    view = filled.index(filled.collection())
    assert view is not None
    for one in answer.results:
        row = view.index.vectors(np.array([one.image_id]))[0]
        score = next(prediction.score for prediction in one.predictions if prediction.label == "cat")
        assert score == pytest.approx(float(row @ mean), abs=1e-3)
    assert answer.templates == ["a photo of a {}.", "{}"]
    assert (answer.label_set, answer.label_set_version, answer.mode) == ("pets", 1, "single")


# Many at once ----------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(2, 30), st.sampled_from([8, 64, 512]), st.data())
def test_the_labels_of_many_are_those_of_exact_arithmetic(
    seed: int, images: int, labels: int, dimension: int, data: st.DataObject
) -> None:
    chance = np.random.default_rng(seed)
    rows = unit_rows(images, dimension, seed=seed)
    # Labels that repeat, and some that no float32 can tell apart for sure.
    columns = unit_rows(labels, dimension, seed=seed + 1)[chance.integers(0, labels, labels)]
    columns[::2] = columns[::2] + chance.normal(scale=1e-7, size=columns[::2].shape).astype(np.float32)
    model = Model("m", dimension, 100.0, -3.0)
    top = data.draw(st.one_of(st.none(), st.integers(1, labels)))
    exact = rank(rows, columns, model, top)
    positions, scores, following, sums = Choices(columns, 100.0).best(rows, top or labels)
    all_scores = rows.astype(np.float64) @ columns.astype(np.float64).T
    assert np.take_along_axis(all_scores, positions, axis=1) == pytest.approx(exact.scores, abs=1e-14)
    assert scores == pytest.approx(exact.scores, abs=1e-5)
    beyond = -np.sort(-all_scores, axis=1)[:, positions.shape[1] : positions.shape[1] + 1]
    assert following == pytest.approx(beyond[:, 0] if beyond.size else np.full(images, -np.inf), abs=1e-5)
    for row in positions.tolist():
        assert len(set(row)) == len(row)
        for place, position in enumerate(row):
            alike = [other for other in row[place:] if (columns[other] == columns[position]).all()]
            assert alike == sorted(alike)
    assert np.exp(100.0 * scores - sums[:, None]) == pytest.approx(exact.probabilities, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("top", [1, 2, None])
@pytest.mark.parametrize("many", [0, 10**9])
def test_all_that_is_stored_is_classified_as_arrays(
    filled: Library, monkeypatch: pytest.MonkeyPatch, many: int, top: int | None
) -> None:
    told = classify_stored(filled, PETS, top=top)
    monkeypatch.setattr("clipsearch.scoring.ranking.MANY_SCORES", many)
    monkeypatch.setattr("clipsearch.classifying.stored.BLOCK", 5)
    seen: list[tuple[int, int]] = []
    found = classify_all(filled, PETS, top=top, on_progress=lambda done, total: seen.append((done, total)))
    blocks = list(found)
    assert [len(block.ids) for block in blocks] == [5, 5, 2]
    assert seen == [(5, 12), (10, 12), (12, 12)]
    assert np.concatenate([block.ids for block in blocks]).tolist() == [one.image_id for one in told.results]
    for plural, name in (("positions", "position"), ("scores", "score"), ("probabilities", "probability")):
        rows = np.concatenate([getattr(block.ranked, plural) for block in blocks])
        expected = [[getattr(one, name) for one in result.predictions] for result in told.results]
        assert rows == pytest.approx(np.array(expected), rel=1e-4, abs=1e-6)
    assert [block.ids.tolist() for block in found] == [block.ids.tolist() for block in blocks]


def test_a_long_classification_can_be_ended_between_blocks(filled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.classifying.stored.BLOCK", 4)
    done: list[int] = []

    def end(count: int, _total: int) -> None:
        done.append(count)
        if count == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(classify_all(filled, PETS, on_progress=end))
    assert done == [4, 8]


# What is cached --------------------------------------------------------------------------------------------


def test_a_second_classification_embeds_no_text_also_in_another_process(
    filled: Library, encoder: CountingEncoder
) -> None:
    first = classify_stored(filled, PETS)
    assert encoder.texts == 3
    images = encoder.images
    with library_with(encoder, filled.settings.data_dir, database_url=filled.settings.database_url) as other:
        second = classify_stored(other, PETS)
    assert second == first
    assert (encoder.texts, encoder.images) == (3, images)


def test_sets_that_share_words_share_their_embeddings(filled: Library, encoder: CountingEncoder) -> None:
    classify_stored(filled, PETS)
    classify_stored(filled, Labels(labels=("dog", "cat", "tree")))
    assert encoder.texts == 4
    classify_stored(filled, Labels(labels=("dog", "cat"), templates=("{}",)))
    assert encoder.texts == 6
    with filled.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(prompt_embedding)).scalar_one() == 6


def test_a_set_that_was_replaced_answers_with_its_new_labels(filled: Library) -> None:
    save_label_set(filled, "pets", draft_of([("cat", ["cat"]), ("dog", ["dog"])]))
    old = classify_stored(filled, Labels(label_set="pets"))
    save_label_set(filled, "pets", draft_of([("cat", ["boat"]), ("dog", ["tree"])]), replace=True)
    new = classify_stored(filled, Labels(label_set="pets"))
    assert new.label_set_version == 2
    direct = classify_stored(filled, Labels(labels=("boat", "tree")))
    scores = [[one.score for one in result.predictions] for result in new.results]
    assert scores == [[one.score for one in result.predictions] for result in direct.results]
    assert scores != [[one.score for one in result.predictions] for result in old.results]


def test_labels_are_read_once_for_as_long_as_their_set_stands(
    filled: Library, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_label_set(filled, "pets", draft_of([("cat", ["cat"]), ("dog", ["dog"])]))
    chosen = Labels(label_set="pets")
    first = classify_stored(filled, chosen)

    def refuse(*_arguments: object) -> Any:
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr("clipsearch.database.label_embeddings.prompt_embeddings", refuse)
        assert classify_stored(filled, chosen) == first
    with library_with(encoder, filled.settings.data_dir, database_url=filled.settings.database_url) as other:
        assert classify_stored(other, chosen) == first


@pytest.mark.parametrize("anew", [False, True])
def test_a_set_that_another_process_changed_is_read_anew_with_all_its_numbers(
    filled: Library, encoder: CountingEncoder, tmp_path: Path, anew: bool
) -> None:
    np.save(tmp_path / "a.npy", unit_rows(3, 24, seed=5))
    np.save(tmp_path / "b.npy", unit_rows(3, 24, seed=6))
    (tmp_path / "names.json").write_text('["cat", "dog", "boat"]')
    model = filled.collection().model_name
    chosen = Labels(label_set="theirs")
    import_label_set(filled, "theirs", tmp_path / "a.npy", tmp_path / "names.json", model=model)
    before = classify_stored(filled, chosen)
    with library_with(encoder, filled.settings.data_dir, database_url=filled.settings.database_url) as other:
        if anew:
            delete_label_set(other, "theirs")
        import_label_set(other, "theirs", tmp_path / "b.npy", tmp_path / "names.json", model=model, replace=True)
        fresh = classify_stored(other, chosen)
    after = classify_stored(filled, chosen)
    assert after == fresh
    assert after.results != before.results


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=40))
def test_what_is_remembered_stays_within_its_bytes_and_is_never_another_key_s(steps: list[tuple[int, int]]) -> None:
    recent = Recent(limit=20)
    last: dict[int, int] = {}
    for key, size in steps:
        if recent.get(key) is not None:
            assert recent.get(key) == (key, last[key])
        recent.keep(key, (key, size), size)
        last[key] = size
        held = [other for other in range(6) if recent.get(other) is not None]
        assert sum(last[other] for other in held) <= 20
        assert key in held
    assert recent.get("other") is None
    recent.keep("large", "large", 21)
    assert recent.get("large") is None


# Pictures --------------------------------------------------------------------------------------------------


def test_given_pictures_are_classified_like_stored_ones(filled: Library, photos: Path) -> None:
    paths = sorted(photos.iterdir())
    given = classify_pictures(filled, sources(paths), PETS)
    stored = classify_stored(filled, PETS)
    for one, other in zip(given.results, stored.results, strict=True):
        assert (Path(other.uri).name, other.label) == (one.uri, one.label)
        assert [p.score for p in one.predictions] == pytest.approx([p.score for p in other.predictions], abs=1e-3)
    assert len(filled.database.url.database or "") > 0
    assert len(browsing.list_images(filled)) == 12


def test_a_picture_that_cannot_be_read_stands_beside_those_that_can(filled: Library, photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    chosen = [photos / "0000.png", photos / "bad.png", photos / "none.png", photos, photos / "0001.png"]
    answer = classify_pictures(filled, [*sources(chosen), PictureSource("bytes", b"")], PETS)
    assert [one.uri for one in answer.results] == ["0000.png", "0001.png"]
    assert [one.uri for one in answer.failed] == ["bad.png", "none.png", "photos", "bytes"]
    assert all(one.reason for one in answer.failed)


def test_a_picture_that_the_model_cannot_take_stands_beside_those_that_it_can(
    filled: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, encode = CountingEncoder.prepare, CountingEncoder.encode_prepared

    def trip(self: CountingEncoder, picture: Any) -> Any:
        pixels = prepare(self, picture)
        if encoder.prepared == 3:
            raise ZeroDivisionError("no such side")
        return np.full_like(pixels, np.nan) if encoder.prepared == 5 else pixels

    def refuse(self: CountingEncoder, pixels: Any) -> Any:
        positions = [place for place, one in enumerate(pixels) if np.isnan(one).any()]
        if positions:
            raise InvalidVector("not a number", positions=positions)
        return encode(self, pixels)

    encoder.prepared = 0
    monkeypatch.setattr(CountingEncoder, "prepare", trip)
    monkeypatch.setattr(CountingEncoder, "encode_prepared", refuse)
    answer = classify_pictures(filled, sources(sorted(photos.iterdir())), PETS)
    assert [(one.uri, one.code, one.reason) for one in answer.failed] == [
        ("0002.png", "unreadable_image", "ZeroDivisionError: no such side"),
        ("0004.png", "no_embedding", "the model made no usable embedding of it (not a number, or zero)"),
    ]
    assert [one.uri for one in answer.results] == [f"{place:04}.png" for place in range(12) if place not in (2, 4)]
    stored = {Path(one.uri).name: one.label for one in classify_stored(filled, PETS).results}
    assert all(stored[one.uri] == one.label for one in answer.results)


def test_many_pictures_go_through_in_batches(filled: Library, photos: Path) -> None:
    paths = [photos / f"{number % 12:04}.png" for number in range(30)]
    answer = classify_pictures(filled, sources(paths), PETS, top=1)
    assert [one.uri for one in answer.results] == [path.name for path in paths]
    assert all(len(one.predictions) == 1 for one in answer.results)


def test_without_any_collection_the_settings_model_answers(library: Library, photos: Path) -> None:
    paths = draw_many(photos, 2)
    answer = classify_pictures(library, sources(paths), PETS)
    assert (answer.model, len(answer.results)) == (library.settings.model, 2)
    with pytest.raises(CollectionNotFound):
        classify_pictures(library, sources(paths), PETS, collection="nowhere")


# Stored images ---------------------------------------------------------------------------------------------


def test_stored_images_are_chosen_by_number_or_filter(filled: Library) -> None:
    numbers = [one.id for one in browsing.list_images(filled)]
    answer = classify_stored(filled, PETS, ids=[numbers[4], numbers[1]])
    assert [one.image_id for one in answer.results] == [numbers[4], numbers[1]]
    filters = Filters(path_glob="*000[0-2].png")
    assert [one.image_id for one in classify_stored(filled, PETS, filters=filters).results] == numbers[:3]
    assert classify_stored(filled, PETS, filters=Filters(min_width=1_000)).results == []
    with pytest.raises(ImageNotFound):
        classify_stored(filled, PETS, ids=[numbers[0], 999])


def test_what_left_the_collection_is_not_classified(filled: Library) -> None:
    browsing.remove_images(filled, [browsing.list_images(filled)[0].id])
    assert len(classify_stored(filled, PETS).results) == 11


def test_an_empty_collection_has_nothing_to_classify(library: Library, photos: Path) -> None:
    library.create_collection("default", library.settings.model)
    answer = classify_stored(library, PETS)
    assert (answer.results, answer.model) == ([], library.settings.model)
    assert answer.warnings == ["the collection 'default' holds no images yet"]
    with pytest.raises(ImageNotFound):
        classify_stored(library, PETS, ids=[1])
    draw_many(photos, 1)
    index(library, photos)
    browsing.remove_images(library, [1])
    assert classify_stored(library, PETS).warnings == answer.warnings


def test_an_image_that_is_asked_for_and_has_no_embedding_is_an_error(filled: Library) -> None:
    with filled.database.write() as connection:
        revision = collection_rows.advance(connection, filled.collection().id)
        connection.exec_driver_sql("DELETE FROM embedding WHERE image_id = 3")
        connection.exec_driver_sql(f"UPDATE image SET revision = {revision} WHERE id = 3")
    with pytest.raises(InvalidInput, match="image 3 has no embedding"):
        classify_stored(filled, PETS, ids=[2, 3])
    assert len(classify_stored(filled, PETS).results) == 11


# Labels ----------------------------------------------------------------------------------------------------


def test_labels_that_are_no_choice_are_refused(filled: Library) -> None:
    with pytest.raises(InvalidLabelSet, match="at least two labels"):
        classify_stored(filled, Labels(labels=("cat",)))
    with pytest.raises(EmptyText):
        classify_stored(filled, Labels(labels=("cat", " ")))
    with pytest.raises(TextTooLong):
        classify_stored(filled, Labels(labels=("cat", "x" * 201)))
    with pytest.raises(InvalidTemplate):
        classify_stored(filled, Labels(labels=("cat", "dog"), templates=("a photo",)))
    with pytest.raises(LabelSetNotFound):
        classify_stored(filled, Labels(label_set="nowhere"))
    wrong: list[dict[str, Any]] = [{}, {"label_set": "a", "labels": ("b",)}, {"label_set": "a", "templates": ("{}",)}]
    for values in wrong:
        with pytest.raises(ValueError, match="label_set"):
            Labels(**values)


def test_a_label_may_hold_braces_and_stands_twice_only_with_a_warning(filled: Library) -> None:
    answer = classify_stored(filled, Labels(labels=("{0}", "{}", "cat", "cat")), top=None)
    assert len(answer.results[0].predictions) == 4
    assert sum(one.probability for one in answer.results[0].predictions) == pytest.approx(1.0)
    assert answer.warnings == ["the label 'cat' stands 2 times; its places are told apart by position"]


def test_labels_that_the_model_cuts_are_named(filled: Library, photos: Path) -> None:
    long = "q " * 99 + "q"
    labels = Labels(labels=("cat", long))
    warning = f"the label {long!r} is too long for the model, which reads the beginning only"
    assert classify_stored(filled, labels).warnings == [warning]
    assert classify_pictures(filled, sources([photos / "0000.png"]), labels).warnings == [warning]
    assert classify_stored(filled, PETS).warnings == []


@pytest.mark.parametrize("images", [1, 40])
def test_few_products_without_blas_and_many_with_it_are_the_same(images: int) -> None:
    chance = np.random.default_rng(5)
    rows, labels = chance.standard_normal((images, 64)), chance.standard_normal((4_000, 64))
    np.testing.assert_allclose(multiply(rows, labels), np.dot(rows, labels.T), rtol=0, atol=1e-12)
