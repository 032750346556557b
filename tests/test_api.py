"""The door for Python: what the README shows, with the model that comes along."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from library_fixtures import draw, draw_many

import clipsearch
from clipsearch import ClipSearchError, Filters, OpenLibrary, Query, Term, open_library
from clipsearch.errors import ConfigError, InvalidInput


@pytest.fixture
def opened(tmp_path: Path, model_folder: Path) -> Iterator[OpenLibrary]:
    with open_library(tmp_path / "library", model=str(model_folder), device="cpu", dtype="float32") as library:
        yield library


def test_a_library_is_made_filled_searched_and_opened_again(
    opened: OpenLibrary, photos: Path, tmp_path: Path, model_folder: Path
) -> None:
    paths = draw_many(photos, 6)
    assert len(opened.index(photos, dry_run=True).added) == 6
    assert len(opened.index(str(photos)).added) == 6
    by_file = opened.search(paths[2], k=1).hits[0]
    assert by_file.image.uri == str(paths[2])
    assert opened.search(paths[2].read_bytes(), k=1).hits[0].image.id == by_file.image.id
    assert len(opened.search("a text").hits) == 6
    assert len(opened.search([Term(text="a"), Term(image_id=1, weight=-0.5)], k=3, offset=1).hits) == 3
    assert len(opened.search(Query(terms=(Term(text="a"),), k=2)).hits) == 2
    assert opened.search("a text", filters=Filters(path_glob="*0003.png")).hits[0].image.uri == str(paths[3])
    assert by_file.image.id not in {hit.image.id for hit in opened.similar(by_file.image.id).hits}
    with open_library(tmp_path / "library", model=str(model_folder), device="cpu") as again:
        assert len(again.index(photos).unchanged) == 6


def test_pictures_and_what_is_stored_are_classified(opened: OpenLibrary, photos: Path) -> None:
    paths = draw_many(photos, 4)
    labels = ["cat", "dog"]
    assert len(opened.classify(paths[0], labels=labels).results) == 1
    mixed = opened.classify([paths[0], str(paths[1]), paths[2].read_bytes()], labels=labels, templates=["{}"], top=1)
    assert [one.uri for one in mixed.results] == [str(paths[0]), str(paths[1]), "picture 3"]
    opened.index(photos)
    saved = opened.save_labels("pets", {"cat": ["cat", "kitten"], "dog": ["dog"]})
    assert saved.version == 1
    assert opened.save_labels("pets", ["cat", "dog"], replace=True).version == 2
    stored = opened.classify(label_set="pets")
    assert [one.image_id for one in stored.results] == [1, 2, 3, 4]


def test_label_sets_are_made_of_files_changed_and_shown_as_they_were(opened: OpenLibrary, tmp_path: Path) -> None:
    file = tmp_path / "pets.yaml"
    file.write_text("mode: multi\nlabels: {cat: a cat, Rex: }\n")
    assert opened.save_labels("pets", file).mode == "multi"
    assert opened.set_thresholds("pets", min_score=0.2, labels={"cat": {"min_probability": 0.7}}).version == 2
    pictures: list[Path | bytes] = [draw(tmp_path / "rex.png", 90), draw(tmp_path / "max.png", 91).read_bytes()]
    assert len(opened.add_examples("pets", "Rex", pictures).labels[1].examples) == 2
    first = opened.label_set("pets", version=1)
    assert (first.min_score, first.labels[1].examples) == (None, [])
    assert opened.label_set("builtin:scenes").version == 0
    with pytest.raises(InvalidInput, match="its own templates"):
        opened.save_labels("more", file, templates=["{}"])


def test_errors_are_of_one_family(opened: OpenLibrary, tmp_path: Path) -> None:
    for wrong in (
        lambda: opened.index(tmp_path / "nowhere"),
        lambda: opened.search("x"),
        lambda: opened.classify(label_set="nowhere"),
        lambda: opened.search(draw(tmp_path / "a.png", 1), collection="nowhere"),
    ):
        with pytest.raises(ClipSearchError) as caught:
            wrong()
        assert caught.value.code
        assert caught.value.message
    with pytest.raises(ConfigError, match="no_such_setting is not a setting"):
        open_library(tmp_path / "library", no_such_setting=1)


def test_the_package_names_what_it_offers_and_imports_nothing_for_it() -> None:
    assert all(getattr(clipsearch, name) for name in clipsearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = clipsearch.nothing
    code = (
        "import sys, clipsearch; clipsearch.__version__;"
        "sys.exit(' '.join({'torch', 'faiss', 'sqlalchemy', 'numpy', 'PIL', 'pydantic'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
