"""The histogram of a search's scores: of all that pass the filters, or of a sample of many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from library_fixtures import unit_rows
from search_fixtures import PICTURES, Shelves, filled_shelves

from clipsearch.browsing import list_images
from clipsearch.encoder import Encoder
from clipsearch.queries import Filters, Query, Term
from clipsearch.searching import histogram as module
from clipsearch.searching import search_many
from clipsearch.searching.directions import Direction
from clipsearch.searching.histogram import BINS, histogram
from clipsearch.vector_index import build_index


@pytest.fixture(scope="module")
def shelves(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, shared_encoder: Encoder
) -> Iterator[Shelves]:
    with filled_shelves(tmp_path_factory.mktemp("histogram"), migrated_file, shared_encoder) as found:
        yield found


def test_it_is_told_only_where_it_is_asked_for(shelves: Shelves) -> None:
    assert shelves.ask().histogram is None


def test_it_counts_the_scores_of_all_images_and_not_only_of_the_hits(shelves: Shelves) -> None:
    scores = [hit.score for hit in shelves.ask(k=PICTURES).hits]
    found = shelves.ask(k=1, histogram=True).histogram
    assert found is not None
    assert (found.images, found.looked_at, sum(found.counts)) == (PICTURES, PICTURES, PICTURES)
    assert found.counts == np.histogram(scores, bins=np.array(found.edges))[0].tolist()


def test_it_counts_what_passes_the_filters_and_not_the_image_that_is_asked_for(shelves: Shelves) -> None:
    jpeg = Filters(formats=("JPEG",))
    found = shelves.ask(filters=jpeg, histogram=True).histogram
    assert found is not None
    assert found.images == 15
    number = list_images(shelves.library, filters=jpeg)[0].id
    like = shelves.ask(Term(image_id=number), filters=jpeg, histogram=True).histogram
    assert like is not None
    assert (like.images, sum(like.counts)) == (14, 14)
    assert shelves.ask(filters=Filters(formats=("WEBP",)), histogram=True).histogram is None


def test_it_tells_where_the_automatic_cut_would_fall(shelves: Shelves) -> None:
    told = shelves.ask(histogram=True, relevance=True, k=PICTURES)
    assert told.histogram is not None
    least = told.histogram.min_score_cut
    kept = [hit.score for hit in told.hits if hit.relevance is not None and hit.relevance >= 0.5]
    if least is None:
        assert kept == []
    else:
        assert kept == [hit.score for hit in told.hits if hit.score >= least]
    unmeasured = shelves.ask(histogram=True)
    assert unmeasured.histogram is not None
    assert unmeasured.histogram.min_score_cut is None


def test_a_sample_stands_in_for_many_and_says_so(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EXACT", 30)
    monkeypatch.setattr(module, "SAMPLED", 20)
    found = shelves.ask(histogram=True).histogram
    assert found is not None
    assert (found.images, found.looked_at, sum(found.counts)) == (PICTURES, 20, 20)
    assert shelves.ask(histogram=True).histogram == found
    few = shelves.ask(histogram=True, filters=Filters(formats=("JPEG",))).histogram
    assert few is not None
    assert (few.images, few.looked_at) == (15, 15)


def test_of_several_queries_each_has_its_own(shelves: Shelves) -> None:
    asked = [Query(terms=(Term(text=text),), histogram=text != "dog") for text in ("cat", "dog", "boat")]
    cat, dog, boat = [one.histogram for one in search_many(shelves.library, asked)]
    assert dog is None
    assert cat is not None
    assert boat is not None
    assert cat != boat


@given(st.integers(1, 60), st.integers(0, 10_000), st.booleans())
def test_every_score_falls_between_the_edges(images: int, seed: int, same: bool) -> None:
    rows = np.repeat(unit_rows(1, seed=seed), images, axis=0) if same else unit_rows(images, seed=seed)
    index = build_index(16, np.arange(1, images + 1), rows)
    direction = Direction(unit_rows(1, seed=seed + 1)[0])
    found = histogram(index, direction, None, None)
    assert found is not None
    assert sum(found.counts) == images
    assert (len(found.counts), len(found.edges)) == (BINS, BINS + 1)
    assert found.edges == sorted(set(found.edges))
    best = index.search(direction.vector, 1)[0].scores[0]
    assert found.edges[0] - 1e-6 <= best <= found.edges[-1] + 1e-6
