"""What a new user does, from drawn pictures to answers, with the model that comes along."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageOps

from clipsearch import OpenLibrary, Term, open_library
from clipsearch.demo.picture_book import PictureEntry, draw_picture_book
from clipsearch.errors import InvalidVector

PICTURES = 150
Book = tuple[Path, dict[str, PictureEntry]]


@pytest.fixture
def reference_data() -> Path:
    """The folder of real files."""
    folder = os.environ.get("CLIPSEARCH_REFERENCE_DATA")
    if not folder:
        pytest.skip("CLIPSEARCH_REFERENCE_DATA is not set: there are no real photographs")
    return Path(folder)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """A smaller picture-book: its folder, and its pages by path."""
    folder = tmp_path_factory.mktemp("picture-book")
    pages = draw_picture_book(folder, PICTURES, workers=1)
    return folder, {str(folder / page.path): page for page in pages}


@pytest.fixture(scope="module")
def library(book: Book, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLibrary]:
    """A library that holds the book."""
    with open_library(tmp_path_factory.mktemp("library"), model="demo") as opened:
        report = opened.index(book[0])
        assert len(report.added) == PICTURES
        assert not report.failed
        yield opened


def test_a_search_for_a_red_boat_at_night_finds_red_boats_at_night(library: OpenLibrary, book: Book) -> None:
    hits = library.search("a red boat at night", k=5).hits
    scenes = [book[1][hit.image.uri].scene for hit in hits]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert all(scene.time == "night" for scene in scenes)
    assert all(any((thing.object, thing.colour) == ("boat", "red") for thing in scene.things) for scene in scenes)


def test_boat_minus_night_finds_boats_by_day(library: OpenLibrary, book: Book) -> None:
    hits = library.search((Term(text="boat"), Term(text="night", weight=-0.5)), k=5).hits
    scenes = [book[1][hit.image.uri].scene for hit in hits]
    assert all(any(thing.object == "boat" for thing in scene.things) for scene in scenes)
    assert all(scene.time == "day" for scene in scenes)


def test_an_image_finds_itself_first_and_its_like_next(library: OpenLibrary, book: Book) -> None:
    path = library.search("a red boat at night", k=1).hits[0].image.uri
    first, *others = library.search(Path(path), k=4).hits
    assert first.image.uri == path
    assert first.score > 0.98
    scenes = [book[1][hit.image.uri].scene for hit in others]
    assert all(any(thing.object == "boat" for thing in scene.things) for scene in scenes)


def test_a_stored_image_is_left_out_of_what_is_similar_to_it(library: OpenLibrary) -> None:
    image = library.search("a boat", k=1).hits[0].image
    assert image.id not in {hit.image.id for hit in library.similar(image.id, k=10).hits}


def test_a_stored_label_set_tells_day_from_night_without_a_picture(library: OpenLibrary, book: Book) -> None:
    library.save_labels("time", {"day": ["by day"], "night": ["at night"]}, templates=["a picture {}"], replace=True)
    answer = library.classify(label_set="time")
    right = [one.label == book[1][one.uri].scene.time for one in answer.results]
    assert len(right) == PICTURES
    assert np.mean(right) >= 0.96


def test_a_query_names_the_words_that_the_model_never_saw(library: OpenLibrary) -> None:
    answer = library.search("a red boat with a spectrometer")
    assert answer.unknown_words == ["spectrometer"]
    assert answer.hits


def test_a_query_of_unknown_words_alone_finds_nothing_and_says_why(library: OpenLibrary) -> None:
    answer = library.search("a picture of the spectrometer")
    assert answer.hits == []
    assert "spectrometer" in str(answer.notice)


def test_terms_that_cancel_each_other_out_are_refused(library: OpenLibrary) -> None:
    with pytest.raises(InvalidVector, match="cancel"):
        library.search((Term(text="boat"), Term(text="boat", weight=-1)))


def test_the_sigmoid_sibling_answers_the_same_search_with_its_own_scale(book: Book, tmp_path: Path) -> None:
    with open_library(tmp_path, model="demo-sigmoid") as opened:
        opened.index(book[0])
        scenes = [book[1][hit.image.uri].scene for hit in opened.search("a red boat at night", k=5).hits]
        model = opened.library.index(opened.library.collection())
    assert sum(scene.time == "night" for scene in scenes) >= 4
    assert model is not None
    assert model.model.model.scoring == "sigmoid"
    assert model.model.model.logit_bias != 0.0


@pytest.mark.golden
@pytest.mark.parametrize("model", ["demo", "demo-sigmoid"])
@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_one_photograph_in_nine_orientations_lands_in_one_place(
    reference_data: Path, tmp_path: Path, model: str, name: str
) -> None:
    """The nine files differ by a printed digit; their tags say how to turn them."""
    files = sorted((reference_data / "exif_orientation").glob(f"{name}_*.jpg"))
    assert len(files) == 9
    with open_library(tmp_path, model=model) as opened:
        report = opened.index(reference_data / "exif_orientation")
        assert not report.failed
        upright = _vectors(opened, [str(path) for path in files])
        encoder = opened.library.encoder(model)
        as_stored = []
        for path in files:
            with PILImage.open(path) as picture:
                plain = picture.convert("RGB")
            # Upright pixels without the tag: what a reader that ignores the tag would see.
            as_stored.append(ImageOps.contain(plain, (1800, 1800)))
        ignored = encoder.encode_images(as_stored).vectors
    assert _spread(upright) <= 0.03
    assert _spread(ignored) >= 3 * _spread(upright)


@pytest.mark.golden
def test_real_photographs_index_without_a_failure_and_odd_files_fail_by_name(
    reference_data: Path, tmp_path: Path
) -> None:
    with open_library(tmp_path, model="demo") as opened:
        photos = opened.index(reference_data / "photos")
        odd = opened.index(reference_data / "odd")
    assert photos.failed == []
    assert len(photos.added) > 50
    files = [path for path in (reference_data / "odd").rglob("*") if path.is_file()]
    assert len(odd.added) + len(odd.failed) == len(files)
    assert all(failure.reason and failure.code for failure in odd.failed)


def _vectors(opened: OpenLibrary, uris: list[str]) -> np.ndarray:
    row = opened.library.collection()
    view = opened.library.index(row)
    assert view is not None
    hits = {hit.image.uri: hit.image.id for hit in opened.search("a house", k=100).hits}
    return view.index.vectors(np.array([hits[uri] for uri in uris], dtype=np.int64))


def _spread(vectors: np.ndarray) -> float:
    return max(1.0 - float(one @ other) for one, other in combinations(vectors, 2))
