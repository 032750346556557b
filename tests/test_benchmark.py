"""The benchmark measures what it says: its made vectors, its arithmetic, its sub-commands, its report."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmarking import figures, libraries, neighbours, pictures, vectors, words
from benchmarking.environments import PACKAGES
from benchmarking.quick import FIGURES, Candidate, Scale, quick
from benchmarking.runners.bound import bound_of
from clipsearch.encoder.loading import load_model
from clipsearch.encoder.names import parse_model_name
from clipsearch.vector_index import build_index

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "benchmark.py"


@pytest.fixture(autouse=True, scope="module")
def _process_left_as_it_was() -> Iterator[None]:
    """The script is a program of its own: it sets the log's level and what SIGTERM does."""
    level, on_term = logging.getLogger().level, signal.getsignal(signal.SIGTERM)
    yield
    logging.getLogger().setLevel(level)
    signal.signal(signal.SIGTERM, on_term)


@pytest.fixture(scope="module")
def space() -> vectors.Space:
    return vectors.make_space(4_000)


def test_made_vectors_have_the_geometry_of_clip(space: vectors.Space) -> None:
    found = vectors.geometry(space.images(3_000), space.texts(2_000))
    assert found.image_image == pytest.approx(vectors.IMAGE_CONE, abs=0.02)
    assert found.text_text == pytest.approx(vectors.TEXT_CONE, abs=0.02)
    assert found.image_text == pytest.approx(0.19, abs=0.02)
    assert 0.15 < found.first_10 < 0.27
    assert 0.60 < found.first_100 < 0.80


def test_made_texts_are_far_from_every_picture_and_nearest_to_those_they_name(space: vectors.Space) -> None:
    scores = space.texts(200) @ space.images(4_000).T
    assert scores.max() < 0.40, "no text lies in the cone of the pictures"
    best = np.sort(scores, axis=1)[:, -5:].mean()
    assert best > scores.mean() + 4 * scores.std()


def test_made_vectors_are_of_unit_length_and_the_same_for_one_seed(space: vectors.Space) -> None:
    rows = libraries.rows_in_memory(space, 500)
    again = libraries.rows_in_memory(vectors.make_space(4_000), 500)
    assert rows.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(rows.astype(np.float32), axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(rows, again)
    assert not np.array_equal(space.image_queries(10), space.images(10)), "a query is no stored row"


def test_real_embeddings_have_the_geometry_that_vectors_are_made_with() -> None:
    place = Path(os.environ.get("CLIPSEARCH_REFERENCE_DATA", "nowhere")) / "real_clip"
    if not place.is_dir():
        pytest.skip("CLIPSEARCH_REFERENCE_DATA names no folder with real embeddings")
    texts = np.concatenate([np.load(path) for path in sorted(place.glob("clip_vitb32_text_*_fp16.npy"))])
    images = np.load(place / "clip_vitb32_image_embeddings_fp16.npy")
    real = vectors.geometry(_unit(images), _unit(texts))
    made = vectors.geometry(vectors.make_space(4_000).images(2_000), vectors.make_space(4_000).texts(len(texts)))
    assert made.text_text == pytest.approx(real.text_text, abs=0.02)
    assert made.image_text == pytest.approx(real.image_text, abs=0.02)
    assert made.image_image == pytest.approx(real.image_image, abs=0.05)
    assert made.first_10 == pytest.approx(real.first_10, abs=0.06)
    assert made.first_100 == pytest.approx(real.first_100, abs=0.10)


def test_the_exact_neighbours_are_those_of_an_exact_index(space: vectors.Space) -> None:
    rows = libraries.rows_in_memory(space, 700)
    queries = space.texts(20)
    index = build_index(space.dimension, np.arange(700, dtype=np.int64), rows)
    exam = neighbours.Exam("text", queries, neighbours.exact(rows, queries))
    seconds, recall = neighbours.examined(index, exam)
    assert len(seconds) == 20
    assert recall >= 0.99, "equal but for ties within rounding"


@given(st.integers(1, 400), st.integers(1, 7))
def test_exact_neighbours_do_not_depend_on_blocks(count: int, block: int) -> None:
    random = np.random.default_rng(count)
    rows, queries = random.standard_normal((count, 4)), random.standard_normal((3, 4)).astype(np.float32)
    found = neighbours.exact(rows.astype(np.float32), queries, min(5, count))
    whole = np.argsort(-(queries @ rows.astype(np.float32).T), axis=1, kind="stable")[:, : min(5, count)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(neighbours, "BLOCK", block)
        in_blocks = neighbours.exact(rows.astype(np.float32), queries, min(5, count))
    np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(in_blocks, whole)


def test_recall_is_the_share_of_the_true_neighbours_that_were_found() -> None:
    truth = np.array([[1, 2], [3, 4]])
    assert neighbours.recall([np.array([2, 9]), np.array([4, 3])], truth) == 0.75


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_a_percentile_is_a_value_that_its_share_does_not_exceed(values: list[float], share: float) -> None:
    found = figures.percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        figures.percentile([], 0.5)


def test_a_figure_is_the_median_of_its_runs_and_says_whether_its_goal_is_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = figures.Report("any")
    assert report.add("rate", [3.0, 1.0, 2.0], "images/s", goal=">= 2.5") == 2.0
    report.add("time", 1.5, "s", goal="<= 2")
    missed, reached = report.as_json()["figures"]
    assert (missed["value"], missed["runs"], missed["reached"]) == (2.0, (3.0, 1.0, 2.0), False)
    assert reached["reached"] is True
    assert report["time"] == 1.5
    assert "NOT reached (>= 2.5)" in capsys.readouterr().out


def test_a_kept_report_becomes_a_table() -> None:
    report = figures.Report("any")
    report.add("rate", [3.0, 1.0, 2.0], "images/s", goal=">= 2.5", note="a note")
    table = figures.as_markdown(json.loads(json.dumps(report.as_json())))
    assert "| rate (a note) | 2 images/s | 1 to 3 | >= 2.5, **not reached** |" in table


@pytest.mark.parametrize(
    ("model", "decoder", "cores", "bound"),
    [(60.0, 270.0, 2, 2 / (2 / 60 + 1 / 270)), (100.0, 1e12, 4, 100.0), (1e12, 50.0, 8, 400.0)],
)
def test_the_bound_is_where_no_core_waits(model: float, decoder: float, cores: int, bound: float) -> None:
    assert bound_of(model, decoder, cores) == pytest.approx(bound)


def test_pictures_are_the_same_for_one_seed_and_copies_differ_only_in_bytes(tmp_path: Path) -> None:
    first, second = pictures.write_jpegs(tmp_path / "one", 2, (64, 48))
    again = pictures.jpeg(0, (64, 48))
    assert first.read_bytes() == again != second.read_bytes()
    left, right = pictures.copies(again, 2, "copy")
    assert len({again, left, right}) == 3
    for name, data in (("left", left), ("right", right)):
        (tmp_path / name).write_bytes(data)
        with Image.open(tmp_path / name) as copied, Image.open(first) as original:
            assert np.array_equal(np.asarray(copied), np.asarray(original))


def test_queries_are_all_different_and_go_on_where_the_last_ended() -> None:
    assert len(set(words.queries(20_000))) == 20_000
    assert words.queries(5, 10) == words.queries(15)[10:]
    assert len(set(words.labels(1_000))) == 1_000


def test_a_made_library_holds_its_vectors_under_ids_from_one(tmp_path: Path, space: vectors.Space) -> None:
    rows = libraries.rows_in_memory(space, 300)
    for _ in range(2):  # the second time it is kept
        with libraries.made_library(tmp_path / "made", rows, libraries.plain_model()) as library:
            view = library.index(library.collection())
            assert view is not None
            [found] = view.index.search(rows[41].astype(np.float32), 1)
            assert found.ids.tolist() == [42]
            assert len(view.index) == 300


def test_every_line_of_the_table_has_a_sub_command() -> None:
    told = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)
    for command in (
        "index-640 index-12mp text cold-search search-1m filters open-rebuild classify-stored classify-http serve-5m "
        "growth gpu all show"
    ).split():
        assert command in told.stdout.split()
    assert {"rclip", "clip-retrieval", "transformers"} == set(PACKAGES)


def test_the_short_benchmark_gives_one_object_with_every_figure() -> None:
    scale = Scale(
        most_images=96, index_seconds=0.1, picture_size=(64, 48), camera_images=72, camera_originals=2,
        camera_size=(160, 120), runs=1, text_runs=3, labels=20, requests=3, cold_vectors=500, cold_runs=1,
        search_vectors=3_000, queries=20,
    )  # fmt: skip
    said: list[str] = []
    found = json.loads(json.dumps(quick(scale, said.append, _demo)))
    assert tuple(found) == FIGURES
    for name, figure in found.items():
        assert {"value", "ours", "reference"} <= set(figure), name
        assert all(isinstance(value, int | float) and value > 0 for value in figure.values()), name
    last = found["search_200k_p50_ms"]
    assert {"recall_image", "recall_text"} <= set(last)
    assert last["recall_image"] >= 0.9
    assert last["recall_text"] >= 0.9
    ratio = found["text_query_vs_fp32"]
    assert ratio["value"] == pytest.approx(ratio["ours"] / ratio["reference"], rel=0.9)
    assert len(said) == len(FIGURES) + 1


def _demo(_folder: Path) -> Candidate:
    loaded = load_model(parse_model_name("demo"))
    return Candidate("demo", loaded.network, loaded.tokenizer)


def _unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    single = rows.astype(np.float32)
    unit: NDArray[np.float32] = single / np.linalg.norm(single, axis=1, keepdims=True)
    return unit
