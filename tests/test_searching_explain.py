"""Explaining: what each term of a query contributed to each hit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from search_fixtures import Shelves, filled_shelves

from clipsearch.browsing import list_images
from clipsearch.encoder import Encoder
from clipsearch.encoding import encode_texts
from clipsearch.queries import Query, Term
from clipsearch.searching import search_many


@pytest.fixture(scope="module")
def shelves(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, shared_encoder: Encoder
) -> Iterator[Shelves]:
    with filled_shelves(tmp_path_factory.mktemp("explain"), migrated_file, shared_encoder) as found:
        yield found


def test_nothing_is_explained_unasked(shelves: Shelves) -> None:
    assert {hit.terms for hit in shelves.ask().hits} == {None}


def test_a_single_term_contributes_the_whole_score(shelves: Shelves) -> None:
    for hit in shelves.ask(Term(text="a cat", weight=3.0), explain=True).hits:
        assert hit.terms is not None
        (only,) = hit.terms
        assert (only.place, only.kind, only.weight) == (0, "text", 3.0)
        assert only.score == pytest.approx(hit.score, abs=1e-5)
        assert only.contribution == pytest.approx(hit.score, abs=1e-5)


def test_a_negative_weight_takes_from_the_score_what_the_image_has_of_it(shelves: Shelves) -> None:
    first = list_images(shelves.library)[0].id
    picture = sorted(shelves.photos.rglob("*.png"))[3]
    terms = (
        Term(text="a cat"),
        Term(image_id=first, weight=-0.5),
        Term(image=picture, weight=2.0),
        Term(vector=(1.0, *(0.0,) * 23), weight=0.25),
    )
    answer = shelves.ask(*terms, explain=True, k=40)
    assert len(answer.hits) == 39
    for hit in answer.hits:
        assert hit.terms is not None
        assert [one.kind for one in hit.terms] == ["text", "image_id", "image", "vector"]
        assert sum(one.contribution for one in hit.terms) == pytest.approx(hit.score, abs=1e-5)
        for one in hit.terms:
            assert np.sign(one.contribution) == np.sign(one.score * one.weight)
    taken = [hit.terms[1] for hit in answer.hits if hit.terms]
    assert any(one.contribution < -0.05 for one in taken)


def test_the_score_of_a_term_is_that_of_a_search_for_it_alone(shelves: Shelves) -> None:
    alone = {hit.image.id: hit.score for hit in shelves.ask(Term(text="boat"), k=40).hits}
    for hit in shelves.ask(Term(text="cat"), Term(text="boat", weight=-2.0), explain=True, k=40).hits:
        assert hit.terms is not None
        assert hit.terms[1].score == pytest.approx(alone[hit.image.id], abs=1e-5)


def test_of_several_queries_each_is_explained_for_itself(shelves: Shelves) -> None:
    queries = [
        Query(terms=(Term(text="cat"), Term(text="dog")), explain=True),
        Query(terms=(Term(text="boat"),)),
        Query(terms=(Term(text="cat"), Term(text="dog", weight=-1.0)), explain=True),
    ]
    mixed, plain, less = search_many(shelves.library, queries)
    assert {hit.terms for hit in plain.hits} == {None}
    for answer, sign in ((mixed, 1.0), (less, -1.0)):
        direction = encode_texts(shelves.library, ["cat", "dog"]).vectors
        length = float(np.linalg.norm(direction[0] + sign * direction[1]))
        for hit in answer.hits:
            assert hit.terms is not None
            assert hit.terms[1].contribution == pytest.approx(sign * hit.terms[1].score / length, abs=1e-4)
