"""`clipsearch evaluate` from the command line: tables, JSON, a report, exit codes and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, Shelf, call, indexed_shelf
from evaluation_fixtures import captioned_pictures, folders_of_things, write_table

from clipsearch.evaluating import published
from clipsearch.evaluating.published import PublishedNumbers


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders_of_things(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a library with the demo model."""
    folder = tmp_path_factory.mktemp("evaluate")
    return {"CLIPSEARCH_DATA_DIR": str(folder), "CLIPSEARCH_MODEL": "demo", "CLIPSEARCH_DEVICE": "cpu"}


def test_a_folder_of_classes_is_measured_and_told_as_a_table_and_as_json(things: Path, demo: dict[str, str]) -> None:
    done = call("evaluate", things, "--resamples", "50", "--thresholds", environment=demo)
    assert done.code == 0, done.err
    for words in ("accuracy at 1", "mean per class recall", "calibration error", "least probability", "recall"):
        assert words in done.text
    again = call("evaluate", things, "--resamples", "50", "--json", environment=demo)
    (found,) = again.answer["contenders"]
    assert found["figures"]["accuracy_at_1"]["value"] >= 0.95
    assert again.answer["images"] == sum(again.answer["classes"].values())


def test_a_report_is_one_file_with_the_mistakes_as_pictures(things: Path, demo: dict[str, str], tmp_path: Path) -> None:
    boat, dog = (str(next((things / name).iterdir())) for name in ("boat", "dog"))
    rows = [[boat, "dog"], [dog, "boat"]]
    table = write_table(tmp_path / "wrong.csv", ["file", "label"], rows)
    target = tmp_path / "report.html"
    done = call("evaluate", table, "--report", target, "--resamples", "10", "--json", environment=demo)
    assert (done.code, done.answer["report"]) == (0, str(target))
    page = target.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2 == len(done.answer["contenders"][0]["mistakes"])
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "Accuracy" in page


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(shelf: Shelf, tmp_path: Path) -> None:
    for target, said in ((tmp_path, "it is a folder"), (tmp_path / "gone" / "r.html", "there is no folder")):
        done = shelf.call("evaluate", "/nowhere/at/all", "--report", target)
        assert (done.code, done.out) == (1, b"")
        assert said in done.err


def test_templates_and_models_are_compared(things: Path, demo: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "templates.txt").write_text("a photo of a {}.\n\na drawing of a {}.\n")
    words = [
        "--sweep-templates",
        str(tmp_path / "templates.txt"),
        "--against-model",
        "demo-sigmoid",
        "--resamples",
        "20",
    ]
    done = call("evaluate", things, *words, environment=demo)
    assert done.code == 0, done.err
    for line in ("the second less the first", "a drawing of a {}.", "all together", "demo-sigmoid"):
        assert line in done.text


def test_captions_are_measured_by_retrieval(demo: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    table = captioned_pictures(tmp_path_factory.getbasetemp())
    done = call("evaluate", table, "--resamples", "20", environment=demo)
    assert done.code == 0, done.err
    assert "text to image recall at 10" in done.text


def test_thresholds_are_written_to_a_stored_set(things: Path, demo: dict[str, str]) -> None:
    names = sorted(path.name for path in things.iterdir())
    assert call("labels", "create", "written", *names, environment=demo).code == 0
    words = ["--label-set", "written", "--write-thresholds", "--resamples", "20", "--json"]
    done = call("evaluate", things, *words, environment=demo)
    assert (done.code, done.answer["written_to"]) == (0, "written"), done.err
    shown = call("labels", "show", "written", "--json", environment=demo).answer
    assert shown["version"] == 2


def test_the_index_is_measured_by_images_and_by_texts(shelf: Shelf) -> None:
    done = shelf.call("evaluate", "--index", "--json")
    assert done.code == 0, done.err
    assert done.answer["images"] == PICTURES + 1
    for kind in ("by_image", "by_text"):
        assert done.answer[kind]["queries"] > 0
        assert done.answer[kind]["recall"]["value"] == 1.0
    assert "recall at 10" in shelf.call("evaluate", "--index").text


def test_published_figures_that_cannot_be_checked_end_with_their_own_exit_code(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("evaluate", "--reference", "--data", tmp_path, "--json")
    assert (done.code, done.answer["reproduced"], done.answer["different"]) == (3, 0, 0)
    assert len(done.answer["checks"]) == done.answer["not_checked"] > 25
    told = shelf.call("evaluate", "--reference")
    assert told.code == 3
    assert "clipsearch models download ViT-B-32/openai" in told.err
    assert "0 reproduced, 0 different" in told.text


def test_a_figure_that_differs_is_an_error(things: Path, demo: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    figure = PublishedNumbers("a boat", "here", "demo", "cosine", (0.99, 0.99), 0.01, texts=("a boat", "a cat"),
                              picture="000.png")  # fmt: skip
    monkeypatch.setattr(published, "NUMBERS", (figure,))
    done = call("evaluate", "--reference", "--data", things, environment=demo)
    assert done.code == 1
    assert "0 reproduced, 1 different" in done.text
    assert "a boat …" in done.err


def test_files_that_cannot_be_used_are_named_and_counted(shelf: Shelf, tmp_path: Path) -> None:
    for name, place in (("left", 0), ("right", 1)):
        (tmp_path / "classes" / name).mkdir(parents=True)
        os.link(shelf.pictures / f"picture-{place}.png", tmp_path / "classes" / name / "fine.png")
    (tmp_path / "classes" / "left" / "broken.jpg").write_bytes(b"no picture")
    done = shelf.call("evaluate", tmp_path / "classes", "--resamples", "10")
    assert done.code == 0, done.err
    assert "broken.jpg" in done.err
    assert "1 file could not be used" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a folder or a CSV"),
        (["somewhere", "--index"], "SOURCE and --index do not go together"),
        (["--reviewed"], "--label-set NAME"),
        (["somewhere", "--write-thresholds"], "stored label set"),
        (["somewhere", "--data", "x"], "--data goes with --reference"),
        (["somewhere", "--map", "cat"], "--map is CLASS=LABEL"),
        (["somewhere", "--against-model", "demo", "--against-label-set", "x"], "one at a time"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(shelf: Shelf, words: list[str], said: str) -> None:
    done = shelf.call("evaluate", *words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere/at/all"], "nothing can be found"),
        (["--reviewed", "--label-set", "none"], "there is no label set 'none'"),
        (["--index", "-c", "none"], "there is no collection"),
    ],
)
def test_what_is_not_there_is_one_line_on_stderr(shelf: Shelf, words: list[str], said: str) -> None:
    done = shelf.call("evaluate", *words)
    assert (done.code, done.out) == (1, b"")
    assert said in done.err
    assert len(done.err.splitlines()) == 1
