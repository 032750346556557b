"""Relevance of hits: what is in no picture finds nothing, what is there is kept, with one default on two models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_fixtures import CountingEncoder, draw_many, library_with

from clipsearch.answers import SearchAnswer
from clipsearch.config import read_settings
from clipsearch.demo.picture_book import draw_picture_book
from clipsearch.demo.recipe import FOLDERS
from clipsearch.demo.scenes import COLOURS, OBJECTS, PLACES, Scene
from clipsearch.demo.wording import PLACE_PHRASES, with_article
from clipsearch.indexing import index_source
from clipsearch.library import Library
from clipsearch.queries import Filters, Query, Term
from clipsearch.relevance import AUTO_CUT, TEMPLATES, background_prompts
from clipsearch.searching import search, search_many

PICTURES = 360
# Of each collection: the objects and the place that no picture of it shows.
LEFT_OUT = {
    "first": (("boat", "cat", "guitar", "kite", "cup", "tree"), "desert"),
    "second": (("airplane", "dog", "mushroom", "umbrella", "clock", "car"), "sea"),
    "third": (("apple", "fish", "house", "rocket", "bicycle", "hat"), "city"),
}


@dataclass
class Book:
    """A picture-book in a library: all of it, and parts that lack some objects and a place."""

    library: Library
    folder: Path
    scenes: dict[str, Scene]

    def ask(self, words: str, collection: str, **options: Any) -> SearchAnswer:
        options.setdefault("auto_cut", True)
        return search(self.library, Query(terms=(Term(text=words),), **options), collection=collection)

    def scene(self, uri: str) -> Scene:
        return self.scenes["/".join(PurePosixPath(uri).parts[-3:])]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Scene]]:
    folder = tmp_path_factory.mktemp("book")
    pages = draw_picture_book(folder / "whole", PICTURES, workers=1)
    for name, (objects, place) in LEFT_OUT.items():
        for page in pages:
            if page.scene.place != place and not {thing.object for thing in page.scene.things} & set(objects):
                (folder / name / page.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / "whole" / page.path, folder / name / page.path)
    return folder, {page.path: page.scene for page in pages}


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def book(
    request: pytest.FixtureRequest, drawn: tuple[Path, dict[str, Scene]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Book]:
    folder, scenes = drawn
    data = tmp_path_factory.mktemp(request.param)
    with Library.open(read_settings(data_dir=data, model=f"local-dir:{FOLDERS[request.param]}")) as library:
        for name in ("whole", *LEFT_OUT):
            assert not index_source(library, folder / name, collection=name).failed
        yield Book(library, folder, scenes)


def photo(*words: str) -> str:
    return f"a photo of {with_article(' '.join(words))}"


def test_what_is_in_no_picture_finds_nothing_at_the_default(book: Book) -> None:
    empty = []
    for name, (objects, place) in LEFT_OUT.items():
        asked = [photo(one) for one in objects]
        asked += [photo(COLOURS[(position * 3) % len(COLOURS)], one) for position, one in enumerate(objects)]
        asked.append(f"a photo of something {PLACE_PHRASES[place][0]}")
        for words in asked:
            answer = book.ask(words, name)
            empty.append(not answer.hits)
            if not answer.hits:
                assert (answer.notice or "").startswith("nothing matches"), words
    assert np.mean(empty) >= 0.9


def test_what_is_there_is_kept_at_the_default(book: Book) -> None:
    true, kept = 0, 0
    for name in LEFT_OUT:
        asked: list[tuple[str, str | None, str | None, str | None]] = [(photo(one), one, None, None) for one in OBJECTS]
        for position, one in enumerate(OBJECTS):
            colour = COLOURS[position % len(COLOURS)]
            asked.append((photo(colour, one), one, colour, None))
        asked += [(f"a photo of something {PLACE_PHRASES[place][0]}", None, None, place) for place in PLACES]
        for words, thing, look, place in asked:
            whole = book.ask(words, name, auto_cut=False)
            left = {hit.image.id for hit in book.ask(words, name).hits}
            for hit in whole.hits:
                scene = book.scene(hit.image.uri)
                shown = any(one.object == thing and look in (None, one.colour) for one in scene.things)
                if scene.place == place or shown:
                    true += 1
                    kept += hit.image.id in left
    assert true > 500
    assert kept / true >= 0.95


def test_a_cut_answer_is_the_beginning_of_the_whole_one(book: Book) -> None:
    for words in ("a photo of a boat", "something red", "a bird in a forest"):
        whole = book.ask(words, "whole", auto_cut=False, relevance=True, k=200).hits
        for least in (0.1, 0.5, 0.9):
            cut = book.ask(words, "whole", auto_cut=False, min_relevance=least, k=200)
            assert cut.hits == whole[: len(cut.hits)]
            assert all((hit.relevance or 0) < least for hit in whole[len(cut.hits) :])
            assert cut.cut is not None
            assert cut.cut.left_out == (len(cut.hits) < len(whole))


def test_pages_and_batches_are_cut_like_the_whole(book: Book) -> None:
    whole = book.ask("a photo of a boat", "whole", k=100).hits
    pages = [
        hit for offset in range(0, 105, 7) for hit in book.ask("a photo of a boat", "whole", k=7, offset=offset).hits
    ]
    assert [(hit.rank, hit.image.id, hit.relevance) for hit in pages] == [
        (hit.rank, hit.image.id, hit.relevance) for hit in whole
    ]
    queries = [Query(terms=(Term(text=photo(one)),), auto_cut=True) for one in OBJECTS[:6]]
    together = search_many(book.library, queries, collection="whole")
    for query, answer in zip(queries, together, strict=True):
        singly = search(book.library, query, collection="whole")
        assert [hit.image.id for hit in answer.hits] == [hit.image.id for hit in singly.hits]


def test_a_filter_that_lets_no_match_through_leaves_nothing(book: Book) -> None:
    boats = book.ask("a photo of a boat", "whole", k=300)
    assert boats.hits
    elsewhere = Filters(path_glob="*mushroom*")
    assert book.ask("a photo of a boat", "whole", auto_cut=False, filters=elsewhere).hits
    found = [book.scene(hit.image.uri) for hit in book.ask("a photo of a boat", "whole", filters=elsewhere).hits]
    assert all(any(thing.object == "boat" for thing in scene.things) for scene in found)


def test_images_vectors_and_mixes_are_judged_as_what_they_are(book: Book) -> None:
    boats = book.ask("a photo of a red boat", "whole", k=8).hits
    number = boats[0].image.id
    like = search(book.library, Query(terms=(Term(image_id=number),), auto_cut=True, k=50), collection="whole")
    assert 0 < len(like.hits) < 50
    assert number not in {hit.image.id for hit in like.hits}
    view = book.library.index(book.library.collection("whole"))
    assert view is not None
    rows = {"image": view.index.vectors(np.array([number]))[0]}
    rows["text"] = book.library.encoder(view.model.model.name).encode_texts(["a photo of a red boat"]).vectors[0]
    for kind, row in rows.items():
        term = Term(vector=tuple(map(float, row)))
        told = search(book.library, Query(terms=(term,), relevance=True), collection="whole").hits
        other = Term(text="a photo of a red boat") if kind == "text" else Term(image_id=number)
        same = search(book.library, Query(terms=(other,), relevance=True), collection="whole").hits
        by_id = {hit.image.id: hit.relevance for hit in told}
        for hit in same[:5]:
            assert by_id[hit.image.id] == pytest.approx(hit.relevance, abs=0.05)
    mix = (Term(text="boat"), Term(text="night", weight=0.1), Term(image_id=number, weight=0.2))
    mixed = search(book.library, Query(terms=mix, auto_cut=True), collection="whole").hits
    assert any(thing.object == "boat" for thing in book.scene(mixed[0].image.uri).things)


def test_a_query_that_takes_something_away_has_no_relevance_and_is_not_cut(book: Book) -> None:
    terms = (Term(text="boat"), Term(text="night", weight=-0.5))
    answer = search(book.library, Query(terms=terms, auto_cut=True, relevance=True), collection="whole")
    assert answer.cut is None
    assert {hit.relevance for hit in answer.hits} == {None}
    assert "negative weight" in (answer.notice or "")


def test_words_that_the_model_never_saw_find_nothing_and_nothing_is_cut(book: Book) -> None:
    answer = book.ask("xylophonist", "whole")
    assert (answer.hits, answer.cut) == ([], None)
    assert "never saw" in (answer.notice or "")


def test_a_cut_at_nought_tells_no_score_since_every_image_passes(book: Book) -> None:
    answer = book.ask("boat", "whole", auto_cut=False, min_relevance=0.0, k=PICTURES)
    assert len(answer.hits) == PICTURES
    assert answer.cut is not None
    assert answer.cut.min_score is None


def test_copies_of_one_picture_find_each_other(tmp_path: Path, migrated_file: Path, shared_encoder: Any) -> None:
    (tmp_path / "data").mkdir()
    shutil.copyfile(migrated_file, tmp_path / "data" / "clipsearch.db")
    (first,) = draw_many(tmp_path / "photos", 1)
    for number in range(1, 25):
        shutil.copyfile(first, first.with_name(f"copy-{number}.png"))
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data") as library:
        index_source(library, tmp_path / "photos")
        answer = search(library, Query(terms=(Term(image_id=1),), auto_cut=True, k=50))
        assert len(answer.hits) == 24
        assert answer.cut is not None
        assert answer.cut.min_score is not None
        assert answer.cut.min_score < 1


def test_nothing_is_encoded_for_relevance_unless_it_is_asked_for(
    tmp_path: Path, migrated_file: Path, shared_encoder: Any
) -> None:
    encoder = CountingEncoder(shared_encoder)
    (tmp_path / "data").mkdir()
    shutil.copyfile(migrated_file, tmp_path / "data" / "clipsearch.db")
    draw_many(tmp_path / "photos", 30)
    with library_with(encoder, tmp_path / "data") as library:
        index_source(library, tmp_path / "photos")
        dog = (Term(text="dog"),)
        plain = search(library, Query(terms=dog))
        assert encoder.texts == 1
        assert {hit.relevance for hit in plain.hits} == {None}
        assert plain.cut is None
        told = search(library, Query(terms=dog, relevance=True))
        texts = len(background_prompts(encoder.vocabulary))
        assert encoder.texts == 2 + texts
        assert all(hit.relevance is not None for hit in told.hits)
        assert [hit.image.id for hit in told.hits] == [hit.image.id for hit in plain.hits]
    with library_with(encoder, tmp_path / "data") as again:
        same = search(again, Query(terms=dog, relevance=True))
        assert encoder.texts == 3 + texts
        assert [hit.relevance for hit in same.hits] == pytest.approx([hit.relevance for hit in told.hits])
        draw_many(tmp_path / "photos", 5, start=30)
        index_source(again, tmp_path / "photos")
        search(again, Query(terms=dog, auto_cut=True))
        assert encoder.texts == 4 + texts


def test_a_few_images_are_not_cut_by_likeness_and_that_is_said(
    tmp_path: Path, migrated_file: Path, shared_encoder: Any
) -> None:
    (tmp_path / "data").mkdir()
    shutil.copyfile(migrated_file, tmp_path / "data" / "clipsearch.db")
    draw_many(tmp_path / "photos", 4)
    with library_with(CountingEncoder(shared_encoder), tmp_path / "data") as library:
        index_source(library, tmp_path / "photos")
        answer = search(library, Query(terms=(Term(image_id=1),), auto_cut=True))
        assert len(answer.hits) == 3
        assert answer.cut is None
        assert "too few images" in (answer.notice or "")
        assert search(library, Query(terms=(Term(text="dog"),), auto_cut=True)).cut is not None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.text("abcdefgh", min_size=1, max_size=9), max_size=60))
def test_a_small_model_is_asked_only_for_words_that_it_knows(words: set[str]) -> None:
    vocabulary = frozenset(words | {"a", "dog", "cat", "photo", "of"})
    prompts = background_prompts(vocabulary)
    assert len(set(prompts)) == len(prompts)
    for template, text in prompts:
        assert template in TEMPLATES
        assert set(text.split()) <= vocabulary


def test_the_background_is_some_hundreds_of_everyday_texts() -> None:
    prompts = background_prompts(None)
    texts = [text for _, text in prompts]
    assert len(texts) == len(set(texts)) >= 400
    assert {"a dog", "a beach", "a screenshot"} <= set(texts)
    assert {template for template, _ in prompts} == set(TEMPLATES)
    assert 0 < AUTO_CUT < 1
