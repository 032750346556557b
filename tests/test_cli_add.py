"""Pictures added, described, listed by date and counted from the command line and by the Python door."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, Outcome, Shelf, indexed_shelf

from clipsearch import open_library
from clipsearch.answers import ImageDetails
from clipsearch.answers.additions import ImagesAdded
from clipsearch.answers.statistics import CollectionStatistics
from clipsearch.errors import InvalidInput
from clipsearch.images import kept_uploads


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


@pytest.fixture
def shelf(shared: Shelf, tmp_path: Path) -> Shelf:
    """A copy of the shared library, to be changed, with a folder of other pictures."""
    shutil.copytree(shared.data, tmp_path / "library")
    shutil.copytree(shared.pictures, tmp_path / "pictures")
    os.symlink(shared.folder / "model", tmp_path / "model")
    return Shelf(tmp_path)


@pytest.fixture
def here(shelf: Shelf, shared: Shelf) -> tuple[str, ...]:
    return ("--data-dir", str(shelf.data))


def added(outcome: Outcome) -> ImagesAdded:
    return ImagesAdded.model_validate(outcome.answer)


def test_files_are_copied_in_and_stay_when_the_original_goes(
    shared: Shelf, shelf: Shelf, here: tuple[str, ...]
) -> None:
    picture = shelf.pictures / "picture-0.png"
    done = shared.call("add", picture, shelf.pictures / "damaged.jpg", "/nowhere.png", "--json",
                       "--attribute", "trip=Rome", "--attribute", "stars=4", *here)  # fmt: skip
    assert done.code == 0, done.err
    found = added(done)
    assert [(one.name, one.outcome) for one in found.images] == [
        ("picture-0.png", "added"), ("damaged.jpg", "failed"), ("nowhere.png", "failed")
    ]  # fmt: skip
    image = found.images[0].image
    assert image is not None
    assert image.attributes == {"trip": "Rome", "stars": 4}
    picture.unlink()
    assert len(list(kept_uploads(shelf.data))) == 1
    told = shared.call("add", shared.pictures / "picture-0.png", shared.pictures / "picture-1.png", *here)
    assert f"unchanged {image.id}: " in told.text
    assert "1 image added to the collection 'default'" in told.err
    kept = shared.call("backup", shelf.folder / "copy", *here)
    assert f"left out: 2 uploaded images; copy their folder, too: {shelf.data / 'uploads'}" in kept.err
    assert shared.call("images", "remove", str(image.id), *here).code == 0
    assert len(list(kept_uploads(shelf.data))) == 1


def test_a_command_that_adds_nothing_fails(shared: Shelf, shelf: Shelf, here: tuple[str, ...]) -> None:
    done = shared.call("add", shelf.pictures / "damaged.jpg", *here)
    assert done.code == 1
    assert "damaged.jpg" in done.err
    assert shared.call("add", shelf.pictures / "picture-0.png", "--attribute", "nothing", *here).code == 2
    refused = shared.call("add", shelf.pictures / "picture-0.png", "--attribute", "a:b=1", *here)
    assert refused.code == 1
    assert "a:b" in refused.err


def test_an_address_is_not_fetched_unless_that_is_allowed(shared: Shelf, here: tuple[str, ...]) -> None:
    done = shared.call("add", "http://127.0.0.1/a.png", *here)
    assert done.code == 1
    assert "CLIPSEARCH_FETCH_URLS" in done.err


def test_more_files_than_a_batch_holds_are_all_added(shared: Shelf, shelf: Shelf, here: tuple[str, ...]) -> None:
    names = []
    for number in range(40):
        names.append(shelf.folder / f"{number}.png")
        shutil.copyfile(shelf.pictures / f"picture-{number % PICTURES}.png", names[-1])
    found = added(shared.call("add", *names, "--json", "-c", "other", *here))
    assert [one.outcome for one in found.images] == ["added"] * 40
    assert found.collection == "other"


def test_what_is_said_of_an_image_finds_it(shared: Shelf, here: tuple[str, ...]) -> None:
    said = shared.call("images", "set", "1", "trip=Rome", "stars=4", 'code="7"', "who=Ann", "who=Bob", "ok=true", *here)
    assert said.text.splitlines() == ["trip=Rome", "stars=4", 'code="7"', "who=Ann, Bob", "ok=true"]
    assert "attribute:    trip=Rome" in shared.call("images", "show", "1", *here).text
    for wanted in ("trip=Rome", "stars=4", "stars=4.0", 'code="7"', "who=Ann", "who=Bob", "ok=true"):
        found = shared.call("images", "list", "--attribute", wanted, "--json", *here).answer
        assert [one["id"] for one in found["images"]] == [1], wanted
    for wanted in ("trip=rome", 'stars="4"', "code=7", "who=Eve", "ok=1", "other=1"):
        assert shared.call("images", "list", "--attribute", wanted, *here).code == 3, wanted
    searched = shared.call("similar", "2", "--attribute", "trip=Rome", "--json", *here).answer
    assert [one["image"]["id"] for one in searched["hits"]] == [1]
    again = shared.call("images", "set", "1", "stars=5", "--remove", "who", "--remove", "code", "--json", *here)
    assert ImageDetails.model_validate(again.answer).attributes == {"trip": "Rome", "stars": 5, "ok": True}
    assert shared.call("images", "set", "1", *here).code == 2
    assert shared.call("images", "set", "99", "a=1", *here).code == 1
    assert shared.call("images", "set", "1", "a=" + "x" * 2_001, *here).code == 1


def test_images_are_listed_by_date_page_by_page(shared: Shelf, here: tuple[str, ...]) -> None:
    every = shared.call("images", "list", "--json", *here).answer["images"]
    wanted = [one["id"] for one in sorted(every, key=lambda one: (one["taken_at"], one["id"]), reverse=True)]
    found: list[int] = []
    after = ["--after", "0"]
    while True:
        page = shared.call("images", "list", "--sort", "newest", "-k", "3", *after, "--json", *here).answer
        found += [one["id"] for one in page["images"]]
        if page["next"] is None:
            break
        after = ["--after", str(page["next"])]
    assert found == wanted
    assert shared.call("images", "list", "--sort", "newest", "--after", "3", *here).code == 1


def test_a_collection_is_told_in_numbers(shared: Shelf, here: tuple[str, ...]) -> None:
    shared.call("add", shared.pictures / "picture-0.png", *here)
    found = CollectionStatistics.model_validate(shared.call("collections", "stats", "--json", *here).answer)
    assert (found.images, found.failures, found.uploads.images) == (PICTURES + 2, 1, 1)
    told = shared.call("collections", "stats", *here).text
    assert f"images:       {PICTURES + 2} in " in told
    assert "added:        1 of them" in told
    assert "PNG: 7" in told


def test_the_python_door_adds_bytes_and_files(shared: Shelf, shelf: Shelf) -> None:
    with open_library(shelf.data, model=str(shared.folder / "model"), device="cpu") as library:
        path = shelf.pictures / "picture-1.png"
        answer = library.add(path, path.read_bytes(), attributes={"stars": 5})
        assert [(one.name, one.outcome) for one in answer.images] == [
            ("picture-1.png", "added"), ("picture 2", "added")
        ]  # fmt: skip
        with pytest.raises(InvalidInput, match="stars"):
            library.add(path, attributes={"stars": {"a": 1}})
