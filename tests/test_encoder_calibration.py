from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from cli_fixtures import Outcome, call
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipsearch import calibrating
from clipsearch.calibrating import _labels, labels_kept, neighbours_kept
from clipsearch.database import label_sets as label_rows
from clipsearch.demo.picture_book import draw_picture_book
from clipsearch.encoder import Encoder, calibration, open_encoder, precision, runtimes
from clipsearch.encoder.calibration import LEAST_AGREEMENT, LEAST_OVERLAP, Calibration
from clipsearch.encoder.kept_files import NotBelieved
from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.openvino_encoder import LEAST_COSINE, OpenVinoEncoder
from clipsearch.encoder.openvino_models import KeptModel, find_kept, folder_for, weight_states
from clipsearch.errors import ConfigError, InvalidInput, ModelUnavailable
from clipsearch.label_set import LabelSet
from clipsearch.library import Library

IMAGES = 66


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A library of picture-book pages under the demo model."""
    folder = tmp_path_factory.mktemp("calibrated")
    draw_picture_book(folder / "book", IMAGES)
    environment = {"CLIPSEARCH_DATA_DIR": str(folder / "library"), "CLIPSEARCH_DEVICE": "cpu"}
    done = call("index", folder / "book", "--model", "demo", environment=environment)
    assert done.code == 0, done.err
    return environment


@pytest.fixture(scope="module")
def calibrated(environment: dict[str, str]) -> Outcome:
    return call("models", "calibrate", "--images", str(IMAGES), "--json", environment=environment)


def cache_of(environment: dict[str, str]) -> Path:
    return Path(environment["CLIPSEARCH_DATA_DIR"]) / "runtimes"


def test_int8_without_a_calibration_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    for cache in (None, tmp_path):
        with pytest.raises(ConfigError, match="clipsearch models calibrate"):
            open_encoder("demo", device="cpu", dtype="int8", runtime="auto", cache=cache)
    assert not list(tmp_path.iterdir())


def test_int8_in_torch_and_without_openvino_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="runtime torch was asked for"):
        open_encoder("demo", device="cpu", dtype="int8", runtime="torch")
    monkeypatch.setattr(runtimes, "openvino_installed", lambda: False)
    with pytest.raises(ConfigError, match="not installed"):
        open_encoder("demo", device="cpu", dtype="int8", runtime="auto")


def test_the_figures_are_told_and_decide(calibrated: Outcome) -> None:
    report = calibrated.answer
    assert (report["model"], report["images"], report["checked"]) == ("demo", IMAGES // 3, IMAGES - IMAGES // 3)
    # Whole numbers do cost this small model something, and do leave most of it.
    assert 0.7 < report["overlap"] < 1.0
    assert 0.7 < report["agreement"] <= 1.0
    assert report["passed"] == (report["overlap"] >= LEAST_OVERLAP and report["agreement"] >= LEAST_AGREEMENT)
    assert calibrated.code == (0 if report["passed"] else 3)


def test_a_calibration_that_did_not_pass_keeps_int8_off(
    calibrated: Outcome, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "LEAST_OVERLAP", 1.01)
    with pytest.raises(ConfigError, match=f"did not pass: {calibrated.answer['overlap']:.3f} of the neighbours"):
        open_encoder("demo", device="cpu", dtype="int8", runtime="auto", cache=cache_of(environment))


def test_a_calibration_that_passed_lets_int8_index(
    calibrated: Outcome, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "LEAST_OVERLAP", 0.5)
    monkeypatch.setattr(calibration, "LEAST_AGREEMENT", 0.5)
    encoder = open_encoder("demo", device="cpu", dtype="int8", runtime="auto", cache=cache_of(environment))
    exact = open_encoder("demo", device="cpu", dtype="float32")
    assert (encoder.runtime, encoder.dtype, encoder.model) == ("openvino", "int8", exact.model)
    draw_picture_book(tmp_path / "more", 20, seed=8)
    whole_numbers = {**environment, "CLIPSEARCH_DTYPE": "int8", "CLIPSEARCH_RUNTIME": "auto"}
    done = call("index", tmp_path / "more", "--model", "demo", "-c", "more", environment=whole_numbers)
    assert done.code == 0, done.err
    with closing(sqlite3.connect(cache_of(environment).parent / "clipsearch.db")) as database:
        kept = database.execute("SELECT dtype, count(*) FROM embedding GROUP BY dtype ORDER BY 2").fetchall()
    assert kept == [("int8", 20), (exact_dtype(), IMAGES)]
    assert calibrated.answer["overlap"] < 1.0  # so that these rows are not those of another format


def exact_dtype() -> str:
    return precision.choose_dtype("auto", "cpu")


def test_a_quantised_model_whose_rows_changed_is_not_used(
    calibrated: Outcome, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calibrated.answer
    monkeypatch.setattr(calibration, "LEAST_OVERLAP", 0.5)
    monkeypatch.setattr(calibration, "LEAST_AGREEMENT", 0.5)
    monkeypatch.setattr(OpenVinoEncoder, "cosines", lambda _self, _check: (0.1, 1.0))
    with pytest.raises(ConfigError, match="gives other rows here"):
        open_encoder("demo", device="cpu", dtype="int8", runtime="auto", cache=cache_of(environment))


@pytest.fixture
def kept(calibrated: Outcome, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is kept, its calibration believed."""
    assert calibrated.answer
    monkeypatch.setattr(calibration, "LEAST_OVERLAP", 0.5)
    monkeypatch.setattr(calibration, "LEAST_AGREEMENT", 0.5)
    shutil.copytree(cache_of(environment), tmp_path / "runtimes")
    return tmp_path / "runtimes"


DEMO = parse_model_name("demo")
PIXELS: list[NDArray[np.float32]] = list(
    np.random.default_rng(0).standard_normal((4, 3, 96, 96)).astype(np.float32)  # the demo model's size
)


def conversion(cache: Path) -> KeptModel:
    found = find_kept(folder_for(cache, DEMO), DEMO, states=weight_states(DEMO))
    assert found is not None
    return found


def opened(cache: Path) -> Encoder:
    return open_encoder("demo", device="cpu", dtype="int8", runtime="auto", cache=cache)


def test_a_model_that_openvino_computes_otherwise_is_not_taken_in_int8(kept: Path) -> None:
    assert opened(kept).dtype == "int8"
    conversion(kept).noted(refusals={exact_dtype(): "its rows differ from torch's"})
    with pytest.raises(ConfigError, match="its rows differ"):
        opened(kept)
    with pytest.raises(ModelUnavailable, match="its rows differ"):
        runtimes.check_quantisable("demo", kept)
    with pytest.raises(ModelUnavailable, match="its rows differ"):
        calibration.quantise(DEMO, kept, PIXELS)


def test_texts_in_int8_have_to_be_those_of_torch(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, _ = conversion(kept).notes["quantised_cosines"]
    monkeypatch.setattr(OpenVinoEncoder, "cosines", lambda _self, _check: (pictures, LEAST_COSINE - 1e-3))
    with pytest.raises(ConfigError, match="gives other rows here"):
        opened(kept)
    with pytest.raises(ModelUnavailable, match="texts differ"):
        calibration.quantise(DEMO, kept, PIXELS)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="was not calibrated"):
        opened(kept)


def test_another_calibration_takes_the_place_of_the_former(kept: Path) -> None:
    before = conversion(kept)
    candidate = calibration.quantise(DEMO, kept, PIXELS)
    after = conversion(kept)
    assert candidate.dtype == "int8"
    assert after.notes["quantised"] != before.notes["quantised"]
    assert after.notes["calibration"] is None
    assert [path.name for path in after.folder.glob("int8-*.xml")] == [after.notes["quantised"]]
    assert len(list(after.folder.glob("int8-*.bin"))) == 1
    manifest = json.loads((after.folder / "manifest.json").read_text())["body"]
    assert before.notes["quantised"] not in manifest
    assert open_encoder("demo", device="cpu", runtime="openvino", cache=kept).runtime == "openvino"


def test_a_fault_of_openvino_or_of_what_is_kept_is_an_error_of_ours(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object, **__: object) -> None:
        raise RuntimeError("could not allocate memory")

    def missing() -> None:
        raise ImportError("No module named 'numba'")

    def unread(_self: object) -> None:
        raise NotBelieved("check.npz cannot be read")

    before = sorted(path.name for path in folder_for(kept, DEMO).iterdir())
    fault: Callable[..., None]
    for part, fault, said in (("calibration.nncf", missing, "No module"),):
        with monkeypatch.context() as patch:
            patch.setattr(f"clipsearch.encoder.{part}", fault)
            with pytest.raises(ModelUnavailable, match=said):
                calibration.quantise(DEMO, kept, PIXELS)
    assert sorted(path.name for path in folder_for(kept, DEMO).iterdir()) == before
    for part, fault, said in (
        ("openvino_encoder.core", short, "could not allocate"),
        ("openvino_models.KeptModel.check", unread, "cannot be read"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"clipsearch.encoder.{part}", fault)
            with pytest.raises(ConfigError, match=said):
                opened(kept)


def test_a_model_without_a_word_for_our_labels_needs_a_label_set(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_encoder("demo", device="cpu", dtype="float32")
    monkeypatch.setattr(calibrating, "LABELS", ("zeppelin",))
    with pytest.raises(InvalidInput, match="label set"):
        _labels(library, encoder)


def test_stored_label_sets_are_what_labels_are_compared_on(library: Library) -> None:
    encoder = open_encoder("demo", device="cpu", dtype="float32")
    (ours,) = _labels(library, encoder)
    assert ["a photo of a boat."] in ours
    assert ["a photo of a face."] not in ours  # for which this model has no word
    with library.database.write() as connection:
        label_rows.save_label_set(
            connection, "pets", LabelSet.of([("cat", ["cat", "kitten"]), ("dog", ["dog"])], ["a {}"])
        )
        label_rows.save_label_set(
            connection, "times", LabelSet.of([("day", ["day"]), ("night", ["night"])], ["at {}", "by {}"])
        )
    assert _labels(library, encoder) == [
        [["a cat", "a kitten"], ["a dog"]],
        [["at day", "by day"], ["at night", "by night"]],
    ]


def test_what_is_kept_is_shown_with_the_model(calibrated: Outcome, environment: dict[str, str]) -> None:
    shown = call("models", "show", "demo", "--json", environment=environment).answer["runtimes"]
    assert shown["converted"]
    assert shown["asked"] == "torch"
    assert shown["int8"]["overlap"] == calibrated.answer["overlap"]


def test_too_few_images_are_refused(environment: dict[str, str]) -> None:
    empty = call("collections", "create", "empty", "--model", "demo", environment=environment)
    assert empty.code == 0, empty.err
    done = call("models", "calibrate", "-c", "empty", environment=environment)
    assert done.code != 0
    assert "at least 60 images" in done.err


@pytest.mark.parametrize(
    ("installed", "extra"),
    [("calibration.nncf_installed", "-e '.[int8]'"), ("runtimes.openvino_installed", "-e '.[openvino]'")],
)
def test_a_calibration_names_the_extra_that_is_missing_before_anything_is_loaded(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, installed: str, extra: str
) -> None:
    monkeypatch.setattr(f"clipsearch.encoder.{installed}", lambda: False)
    monkeypatch.setattr("clipsearch.encoder.open_encoder", lambda *_, **__: pytest.fail("the model was loaded"))
    done = call("models", "calibrate", "--images", "60", environment=environment)
    assert done.code != 0
    assert extra in done.err


@pytest.mark.parametrize(
    ("overlap", "agreement", "passed"),
    [
        (LEAST_OVERLAP, LEAST_AGREEMENT, True),
        (LEAST_OVERLAP - 1e-6, 1.0, False),
        (1.0, LEAST_AGREEMENT - 1e-6, False),
    ],
)
def test_both_figures_have_to_pass(overlap: float, agreement: float, passed: bool) -> None:
    assert Calibration(100, 200, overlap, agreement, "bfloat16").passed == passed


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


@given(arrays.arrays(np.float32, (14, 6), elements=st.floats(0.125, 8, width=32)))
def test_the_same_rows_keep_everything_and_the_figures_are_shares(rows: NDArray[np.float32]) -> None:
    exact = unit(rows)
    other = unit(np.roll(rows, 1, axis=1))
    assert neighbours_kept(exact, exact) == labels_kept(exact, exact, exact) == 1.0
    assert 0.0 <= neighbours_kept(exact, other) <= 1.0
    assert 0.0 <= labels_kept(exact, other, exact) <= 1.0


def test_neighbours_that_changed_are_counted() -> None:
    random = np.random.default_rng(0)
    exact = unit(random.standard_normal((40, 8)).astype(np.float32))
    other = exact.copy()
    other[0] = -other[0]
    scores, others = exact @ exact.T, other @ other.T
    np.fill_diagonal(scores, -2)
    np.fill_diagonal(others, -2)
    nearest = [[set(np.argsort(-row)[:10].tolist()) for row in rows] for rows in (scores, others)]
    shares = [len(before & after) / 10 for before, after in zip(*nearest, strict=True)]
    assert neighbours_kept(exact, other) == pytest.approx(np.mean(shares))
    assert neighbours_kept(exact, other) < 1.0
    assert labels_kept(exact, other, exact) == pytest.approx(39 / 40)
