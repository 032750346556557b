"""Sorting by date, within the best matches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fixtures import PICTURES, Shelves, filled_shelves, found_image, names

from clipsearch.encoder import Encoder
from clipsearch.queries import Filters, Query, Term
from clipsearch.searching import sorting
from clipsearch.searching.sorting import in_order


@pytest.fixture(scope="module")
def shelves(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, shared_encoder: Encoder
) -> Iterator[Shelves]:
    with filled_shelves(tmp_path_factory.mktemp("sorting"), migrated_file, shared_encoder) as found:
        yield found


def test_the_newest_stand_first_and_the_oldest_the_other_way_round(shelves: Shelves) -> None:
    newest = shelves.ask(sort="newest", k=PICTURES)
    dates = [hit.image.taken_at for hit in newest.hits if hit.image.taken_at is not None]
    assert len(dates) == PICTURES
    assert dates == sorted(dates, reverse=True)
    assert names(newest)[-1] == "00.jpg"
    assert newest.window == PICTURES
    assert names(shelves.ask(sort="oldest", k=PICTURES)) == names(newest)[::-1]


def test_ranks_and_scores_stay_those_of_the_relevance(shelves: Shelves) -> None:
    plain = {hit.image.id: (hit.rank, hit.score) for hit in shelves.ask(k=PICTURES).hits}
    sorted_hits = shelves.ask(sort="newest", k=PICTURES).hits
    assert {hit.image.id: (hit.rank, hit.score) for hit in sorted_hits} == plain
    assert [hit.rank for hit in sorted_hits] != sorted(hit.rank for hit in sorted_hits)


def test_only_what_passes_the_cut_is_sorted(shelves: Shelves) -> None:
    best = shelves.ask(k=PICTURES).hits
    least = best[9].score
    cut = shelves.ask(sort="oldest", min_score=least, k=PICTURES)
    assert {hit.image.id for hit in cut.hits} == {hit.image.id for hit in best[:10]}
    assert cut.window == 10
    by_relevance = shelves.ask(sort="newest", auto_cut=True, k=PICTURES)
    assert {hit.image.id for hit in by_relevance.hits} == {
        hit.image.id for hit in shelves.ask(auto_cut=True, k=PICTURES).hits
    }


def test_pages_follow_each_other(shelves: Shelves) -> None:
    whole = names(shelves.ask(sort="newest", k=PICTURES))
    pages = [names(shelves.ask(sort="newest", k=7, offset=start)) for start in range(0, PICTURES + 7, 7)]
    assert [name for page in pages for name in page] == whole
    assert pages[-1] == []


def test_filters_hold_before_the_order(shelves: Shelves) -> None:
    answer = shelves.ask(sort="newest", filters=Filters(formats=("JPEG",)), k=3)
    assert names(answer) == ["14.jpg", "13.jpg", "12.jpg"]
    assert shelves.ask(sort="newest", filters=Filters(formats=("WEBP",))).window == 0


def test_no_more_than_the_best_are_sorted(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    best = {hit.image.id for hit in shelves.ask(k=12).hits}
    monkeypatch.setattr(sorting, "WINDOW", 12)
    answer = shelves.ask(sort="newest", k=PICTURES)
    assert {hit.image.id for hit in answer.hits} == best
    assert answer.window == 12


def test_what_is_not_sorted_has_no_window(shelves: Shelves) -> None:
    assert shelves.ask().window is None


moments = st.none() | st.integers(0, 5).map(lambda day: dt.datetime(2024, 1, 1 + day, tzinfo=dt.UTC))


@given(st.lists(moments, max_size=20), st.sampled_from(["newest", "oldest"]))
def test_equal_dates_stay_by_relevance_and_images_without_a_date_stand_last(
    dates: list[dt.datetime | None], sort: str
) -> None:
    found = [found_image(number, -number / 100, taken_at=when) for number, when in enumerate(dates, start=1)]
    ordered = in_order(found, Query.model_validate({"terms": (Term(text="x"),), "sort": sort}))
    assert sorted(one.image.id for one in ordered) == [one.image.id for one in found]
    told = [one.image.taken_at for one in ordered]
    dated = [when for when in told if when is not None]
    assert told == dated + [None] * (len(told) - len(dated))
    assert dated == sorted(dated, reverse=sort == "newest")
    for before, after in pairwise(ordered):
        if before.image.taken_at == after.image.taken_at:
            assert before.score > after.score
