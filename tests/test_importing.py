"""Embeddings from elsewhere: brought to unit length, refused row by row, never mixed with another model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_fixtures import unit_rows

from clipsearch import browsing
from clipsearch.classifying import classify_stored
from clipsearch.errors import (
    AlreadyExists,
    AlreadyRunning,
    ImageNotFound,
    InvalidInput,
    InvalidLabelSet,
    InvalidTemplate,
    InvalidVector,
    ModelMismatch,
    ModelNotFound,
    NotFound,
    TextTooLong,
)
from clipsearch.importing import embeddings, import_embeddings, import_label_set
from clipsearch.inspecting import list_collections, show_collection, status
from clipsearch.labelling import show_label_set
from clipsearch.library import Library
from clipsearch.queries import Labels, Query, Term
from clipsearch.searching import search

MODEL = "ViT-B-32/openai"


def files(folder: Path, rows: Any, names: Any) -> tuple[Path, Path]:
    np.save(folder / "rows.npy", np.asarray(rows))
    (folder / "names.json").write_text(json.dumps(names))
    return folder / "rows.npy", folder / "names.json"


def bring(library: Library, folder: Path, rows: Any, names: Any, **options: Any) -> Any:
    chosen: dict[str, Any] = {"model": MODEL, "logit_scale": 100.0} | options
    return import_embeddings(library, *files(folder, rows, names), **chosen)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_rows_of_any_length_and_float_type_are_found_again(any_library: Library, tmp_path: Path, dtype: str) -> None:
    rows = (unit_rows(20, 32) * np.linspace(0.5, 20, 20)[:, None]).astype(dtype)
    report = bring(any_library, tmp_path, rows, [f"picture {n}" for n in range(20)])
    assert (report.imported, report.failed, report.collection) == (20, [], "default")
    for number in (0, 19):
        hit = search(any_library, Query(terms=(Term(vector=tuple(rows[number].tolist())),), k=1)).hits[0]
        assert (hit.image.uri, hit.image.content_hash) == (f"picture {number}", None)
        assert hit.score > 0.999


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1e-9, 1e300])
def test_a_row_without_direction_is_reported_and_not_stored(library: Library, tmp_path: Path, value: float) -> None:
    rows = unit_rows(5, 32).astype(np.float64)
    rows[3] = value
    report = bring(library, tmp_path, rows, list("abcde"))
    assert [(one.uri, one.code) for one in report.failed] == [("d", "no_embedding")]
    assert report.imported == show_collection(library).images == 4


def test_importing_again_replaces_by_name(library: Library, tmp_path: Path) -> None:
    bring(library, tmp_path, unit_rows(3, 32), list("abc"))
    bring(library, tmp_path, unit_rows(3, 32, seed=1), list("bcd"))
    assert [one.uri for one in browsing.list_images(library)] == list("abcd")
    hit = search(library, Query(terms=(Term(vector=tuple(unit_rows(3, 32, seed=1)[0].tolist())),), k=1)).hits[0]
    assert hit.image.uri == "b"


def test_an_imported_image_has_no_file(library: Library, tmp_path: Path) -> None:
    bring(library, tmp_path, unit_rows(2, 32), ["a", "b"])
    with pytest.raises(ImageNotFound, match="its embedding was imported"):
        browsing.thumbnail(library, 1)


@pytest.mark.parametrize(
    ("rows", "names", "words"),
    [
        (np.ones((2, 4)), ["a"], "holds 2 rows, but .* 1 names"),
        (np.ones((2, 4)), ["a", "a"], "names 'a' twice"),
        (np.ones((2, 4)), ["a", " "], "none of them empty"),
        (np.ones((2, 4)), ["a", 1], "must hold a list of names"),
        (np.ones((2, 4)), {"a": 1}, "must hold a list of names"),
        (np.ones((2, 4)), ["a", "b\x00"], "NUL"),
        (np.ones((2, 4)), ["a", "\ud83d"], "surrogate"),
        (np.ones(4), ["a"], r"shape \[n, d\]"),
        (np.ones((0, 4)), [], r"shape \[n, d\]"),
        (np.ones((2, 4), dtype=int), ["a", "b"], "floating point numbers"),
        (np.array([["a"]]), ["a"], "floating point numbers"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    library: Library, tmp_path: Path, rows: Any, names: Any, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        bring(library, tmp_path, rows, names)
    assert list_collections(library) == []


def test_a_file_is_never_unpickled(library: Library, tmp_path: Path) -> None:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.array([{"a": print}], dtype=object), allow_pickle=True)
    (tmp_path / "names.json").write_text('["a"]')
    with pytest.raises(InvalidInput, match=r"no \.npy file of numbers"):
        import_embeddings(library, rows, tmp_path / "names.json", model=MODEL, logit_scale=100)
    for content in (b"", b"\x93NUMPY", b"words"):
        rows.write_bytes(content)
        with pytest.raises(InvalidInput):
            import_embeddings(library, rows, tmp_path / "names.json", model=MODEL, logit_scale=100)
    with pytest.raises(NotFound):
        import_embeddings(library, tmp_path / "none.npy", tmp_path / "names.json", model=MODEL)


def test_names_may_stand_one_a_line(library: Library, tmp_path: Path) -> None:
    rows, _ = files(tmp_path, unit_rows(2, 8), [])
    (tmp_path / "names.txt").write_text("one picture\nanother\n")
    import_embeddings(library, rows, tmp_path / "names.txt", model=MODEL, logit_scale=100)
    assert [one.uri for one in browsing.list_images(library)] == ["one picture", "another"]


def test_a_model_is_described_once_and_never_otherwise(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--logit-scale 100"):
        bring(library, tmp_path, unit_rows(2, 8), ["a", "b"], logit_scale=None)
    with pytest.raises(InvalidInput, match="positive number"):
        bring(library, tmp_path, unit_rows(2, 8), ["a", "b"], logit_scale=float("nan"))
    with pytest.raises(ModelNotFound):
        bring(library, tmp_path, unit_rows(2, 8), ["a", "b"], model="something")
    bring(library, tmp_path, unit_rows(2, 8), ["a", "b"], logit_scale=50.0, logit_bias=-10.0)
    bring(library, tmp_path, unit_rows(2, 8), ["c", "d"], logit_scale=None)
    model = status(library).models[0]
    assert (model.logit_scale, model.logit_bias, model.scoring, model.embeddings) == (50.0, -10.0, "sigmoid", 4)
    for options in ({"logit_scale": 100.0}, {"logit_scale": 50.0, "logit_bias": 0.0}):
        with pytest.raises(ModelMismatch, match="logit"):
            bring(library, tmp_path, unit_rows(2, 8), ["a", "b"], **options)
    with pytest.raises(ModelMismatch, match="8 dimensions, not 9"):
        bring(library, tmp_path, unit_rows(2, 9), ["a", "b"], logit_scale=None)
    with pytest.raises(ModelMismatch, match="is of the model"):
        bring(library, tmp_path, unit_rows(2, 8), ["a", "b"], model="ViT-B-16/openai")


def test_an_import_waits_for_no_one_and_says_who_is_at_work(library: Library, tmp_path: Path) -> None:
    bring(library, tmp_path, unit_rows(2, 8), ["a", "b"])
    with library.lease(library.collection(), "indexing /photos"), pytest.raises(AlreadyRunning):
        bring(library, tmp_path, unit_rows(2, 8), ["c", "d"])
    assert show_collection(library).images == 2


def test_a_label_set_with_embeddings_classifies_without_a_model(any_library: Library, tmp_path: Path) -> None:
    rows = unit_rows(6, 32)
    bring(any_library, tmp_path, rows, list("abcdef"))
    embeddings, names = files(tmp_path, rows[:3] * 7, ["first", "second", "first"])
    report = import_label_set(any_library, "mine", embeddings, names, model=MODEL)
    assert (report.imported, report.label_set) == (3, "mine")
    assert report.warnings == ["the label 'first' stands 2 times; its places are told apart by position"]
    answer = classify_stored(any_library, Labels(label_set="mine"), top=1)
    assert [(one.label, one.predictions[0].position) for one in answer.results[:3]] == [
        ("first", 0),
        ("second", 1),
        ("first", 2),
    ]
    assert answer.results[1].predictions[0].score == pytest.approx(1.0, abs=2e-3)
    assert any("'first' stands 2 times" in warning for warning in answer.warnings)


def test_a_label_set_is_refused_whole(library: Library, tmp_path: Path) -> None:
    rows = unit_rows(3, 8)
    with pytest.raises(InvalidLabelSet, match="at least two"):
        import_label_set(library, "mine", *files(tmp_path, rows[:1], ["a"]), model=MODEL, logit_scale=100)
    rows[1] = 0
    with pytest.raises(InvalidVector, match=r"row 1 of .* \(the label 'b'\) is zero"):
        import_label_set(library, "mine", *files(tmp_path, rows, list("abc")), model=MODEL, logit_scale=100)
    assert status(library).label_sets == 0
    good = files(tmp_path, unit_rows(3, 8), list("abc"))
    with pytest.raises(InvalidLabelSet, match="names a built-in set"):
        import_label_set(library, "builtin:scenes", *good, model=MODEL, logit_scale=100)
    import_label_set(library, "mine", *good, model=MODEL, logit_scale=100)
    with pytest.raises(AlreadyExists):
        import_label_set(library, "mine", *good, model=MODEL)
    import_label_set(library, "mine", *good, model=MODEL, replace=True)
    assert status(library).label_sets == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": "a/b"}, InvalidLabelSet),
        ({"name": "\ud83d"}, InvalidLabelSet),
        ({"templates": ("a photo",)}, InvalidTemplate),
        ({"labels": ["cat", "x" * 201]}, TextTooLong),
        ({"most": 1}, InvalidLabelSet),
    ],
)
def test_an_imported_label_set_passes_the_checks_of_any_other(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], error: type[Exception]
) -> None:
    monkeypatch.setattr(embeddings, "MAX_STORED_LABELS", wrong.get("most", 100))
    paths = files(tmp_path, unit_rows(2, 8), wrong.get("labels", ["cat", "dog"]))
    with pytest.raises(error):
        import_label_set(
            library, wrong.get("name", "mine"), *paths, model=MODEL, logit_scale=100,
            templates=wrong.get("templates", ("{}",)),
        )  # fmt: skip
    assert status(library).label_sets == 0


def test_the_words_of_an_imported_label_set_are_stored_clean(library: Library, tmp_path: Path) -> None:
    paths = files(tmp_path, unit_rows(2, 8), [" cafe\u0301 ", "dog"])
    report = import_label_set(library, " mine ", *paths, model=MODEL, logit_scale=100, templates=(" a {} ",))
    stored = show_label_set(library, "mine")
    assert report.label_set == stored.name
    assert ([label.name for label in stored.labels], stored.templates) == (["caf\u00e9", "dog"], ["a {}"])
