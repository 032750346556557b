from __future__ import annotations

from pathlib import Path

import pytest
from cli_fixtures import Outcome, call, spawn
from PIL import Image as PILImage

MODEL = Path(__file__).resolve().parents[1] / "clipsearch" / "demo" / "model" / "open_clip_model.safetensors"
COUNT = 60

needs_model = pytest.mark.skipif(not MODEL.exists(), reason="the demo model is not trained yet")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo place")


@pytest.fixture(scope="module")
def first(place: Path) -> Outcome:
    """The demo as a person runs it, whose own library lies elsewhere and is named in the environment."""
    own = {"CLIPSEARCH_DATA_DIR": str(place / "own library"), "CLIPSEARCH_COLLECTION": "mine"}
    return spawn("demo", "--count", str(COUNT), environment=own, cwd=place)


@needs_model
def test_the_demo_shows_every_kind_of_search_and_a_classification(first: Outcome) -> None:
    assert first.code == 0, first.err
    for words in (
        f"{COUNT} pictures in .demo/picture-book",
        ' --data-dir .demo/library search "a red boat at night" --sheet .demo/red-boats-at-night.jpg\n',
        " --data-dir .demo/library search .demo/picture-book/",
        ' --data-dir .demo/library search "boat" --minus "night"\n',
        " --data-dir .demo/library classify --stored --label-set things\n",
        "--data-dir .demo/library serve",
        "index ~/Pictures",
    ):
        assert words in first.text


@needs_model
def test_the_demo_finds_red_boats_at_night(first: Outcome) -> None:
    table = first.text.partition('"a red boat at night"')[2].partition("Searching by a picture")[0]
    files = [line.split()[3] for line in table.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])]
    assert len(files) == 3
    assert all("/night/" in file and "red-boat" in file for file in files), files


@needs_model
def test_the_demo_writes_its_first_answer_as_a_sheet(first: Outcome, place: Path) -> None:
    assert ".demo/red-boats-at-night.jpg" in first.err
    with PILImage.open(place / ".demo" / "red-boats-at-night.jpg") as sheet:
        assert sheet.width > 1_000


@needs_model
def test_the_demo_leaves_other_libraries_alone(first: Outcome, place: Path) -> None:
    assert first.code == 0
    assert {path.name for path in place.iterdir()} == {".demo"}
    assert {path.name for path in (place / ".demo").iterdir()} == {"library", "picture-book", "red-boats-at-night.jpg"}


@needs_model
def test_a_second_demo_draws_and_encodes_nothing(first: Outcome, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first.code == 0
    monkeypatch.chdir(place)
    before = {path: path.stat().st_mtime_ns for path in (place / ".demo" / "picture-book").rglob("*.jpg")}
    again = call("demo", "--count", str(COUNT))
    assert again.code == 0, again.err
    assert "in the library, 0 encoded just now" in again.text
    assert before == {path: path.stat().st_mtime_ns for path in before}
    sets = call("labels", "list", "--json", "--data-dir", ".demo/library").answer["label_sets"]
    assert [(one["name"], one["version"]) for one in sets] == [("things", 1)]


@needs_model
def test_the_library_of_the_demo_can_be_used_on(first: Outcome, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first.code == 0
    monkeypatch.chdir(place)
    done = call("--data-dir", ".demo/library", "search", "a red boat at night", "--json", "-k", "1")
    assert "red-boat" in done.answer["hits"][0]["image"]["uri"]
    nonsense = call("--data-dir", ".demo/library", "search", "zyzzyva", "--json")
    assert nonsense.code == 3
    assert nonsense.answer["unknown_words"] == ["zyzzyva"]
