"""Reviews: the least certain first, what a decision changes, and what becomes of it when set or image change."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_fixtures import draw, draw_many, index
from test_tagging import NAMES, each_label, save, tagged

from clipsearch import reviewing
from clipsearch.browsing import image_details
from clipsearch.errors import Conflict, InvalidInput, NotFound
from clipsearch.label_set import Label
from clipsearch.library import Library
from clipsearch.tagging import refresh_tags, show_tags, tag_collection, untag


@pytest.fixture
def reviewable(any_library: Library, photos: Path) -> Library:
    """Twelve tagged pictures, on SQLite and on PostgreSQL."""
    draw_many(photos, 12)
    index(any_library, photos)
    save(any_library)
    tag_collection(any_library, "sky")
    return any_library


def waiting(library: Library) -> list[int]:
    return [one.image.id for one in reviewing.queue(library, "sky", limit=100).entries]


def label_of(library: Library, image: int) -> str:
    return next(name for name, ids in each_label(library).items() if image in ids)


def test_the_least_certain_come_first_and_pages_make_the_whole(reviewable: Library) -> None:
    whole = reviewing.queue(reviewable, "sky", limit=100)
    distances = [one.distance for one in whole.entries]
    assert distances == sorted(distances)
    assert len(whole.entries) == whole.figures.waiting == 12
    assert whole.next is None
    assert all(one.distance == pytest.approx(one.choices[0].probability - one.choices[1].probability)
               for one in whole.entries)  # fmt: skip
    pages, after = [], None
    while True:
        page = reviewing.queue(reviewable, "sky", limit=5, after=after)
        pages += [one.image.id for one in page.entries]
        if (after := page.next) is None:
            break
    assert pages == [one.image.id for one in whole.entries]


def test_a_decision_takes_an_image_out_of_the_queue_and_undo_brings_it_back(reviewable: Library) -> None:
    first, second, third = waiting(reviewable)[:3]
    reviewing.accept(reviewable, "sky", first)
    reviewing.correct(reviewable, "sky", second, ["moon"])
    reviewing.skip(reviewable, "sky", third)
    assert not {first, second, third} & set(waiting(reviewable))
    found = reviewing.figures(reviewable, "sky")
    assert (found.reviewed, found.accepted, found.corrected, found.skipped, found.waiting) == (3, 1, 1, 1, 9)
    assert found.share_accepted == 0.5
    assert reviewing.undo(reviewable, "sky", second).labels == ["moon"]
    assert waiting(reviewable)[0] == second
    with pytest.raises(NotFound, match="nothing was decided"):
        reviewing.undo(reviewable, "sky", second)


def test_a_person_stands_before_the_model(reviewable: Library) -> None:
    before = each_label(reviewable)
    said = label_of(reviewable, 5)
    other = next(name for name in NAMES if name != said)
    reviewing.correct(reviewable, "sky", 5, [other])
    assert 5 in tagged(reviewable, f"sky:{other}")
    assert 5 not in tagged(reviewable, f"sky:{said}")
    assert 5 in tagged(reviewable, f"sky:{other}", min_tag_probability=1.0), "no threshold is above a person"
    (tag,) = image_details(reviewable, 5).tags
    assert (tag.label, tag.source, tag.probability) == (other, "person", None)
    counts = {one.label: one.images for one in show_tags(reviewable, "sky").labels}
    assert counts[other] == len(before[other]) + 1
    assert counts[said] == len(before[said]) - 1
    reviewing.skip(reviewable, "sky", 5)
    assert each_label(reviewable) == before, "a skip changes nothing"


def test_none_of_them_is_an_answer(reviewable: Library) -> None:
    reviewing.correct(reviewable, "sky", 5, [])
    assert tagged(reviewable, "sky:-") == [5]
    assert 5 not in tagged(reviewable, "sky")
    assert show_tags(reviewable, "sky").rejected == 1
    assert image_details(reviewable, 5).tags == []


def test_what_was_accepted_holds_when_thresholds_change(reviewable: Library) -> None:
    said = label_of(reviewable, 5)
    reviewing.accept(reviewable, "sky", 5)
    save(reviewable, min_probability=1.0)
    assert tagged(reviewable, "sky") == tagged(reviewable, f"sky:{said}") == [5]
    assert len(tagged(reviewable, "sky:-")) == 11


def test_to_accept_a_rejection_says_that_it_is_none_of_them(reviewable: Library) -> None:
    save(reviewable, min_probability=1.0)
    assert reviewing.accept(reviewable, "sky", 5).labels == []
    save(reviewable)
    assert tagged(reviewable, "sky:-") == [5]


def test_reviews_survive_a_change_of_the_set_and_the_removal_of_its_tags(reviewable: Library) -> None:
    reviewing.correct(reviewable, "sky", 5, ["moon"])
    reviewing.correct(reviewable, "sky", 6, ["star"])
    save(reviewable, names=("sun", "moon", "cloud"))
    with pytest.raises(Conflict, match="tags apply"):
        reviewing.queue(reviewable, "sky")
    tag_collection(reviewable, "sky")
    assert 5 in tagged(reviewable, "sky:moon")
    assert 5 not in waiting(reviewable)
    assert 6 in waiting(reviewable), "its label is none of the set any more: it has to be looked at again"
    untag(reviewable, "sky")
    assert [one.image_id for one in reviewing.list_reviews(reviewable, "sky")] == [5, 6]


def test_a_review_is_of_the_content_that_was_seen(reviewable: Library, photos: Path) -> None:
    reviewing.correct(reviewable, "sky", 5, ["moon"])
    draw(photos / "0004.png", 99)
    index(reviewable, photos)
    refresh_tags(reviewable)
    assert image_details(reviewable, 5).tags[0].source == "model"
    assert 5 in waiting(reviewable)
    assert reviewing.list_reviews(reviewable, "sky") == []
    assert reviewing.figures(reviewable, "sky").reviewed == 0


def test_corrections_become_examples_of_their_labels(reviewable: Library) -> None:
    reviewing.correct(reviewable, "sky", 7, ["star"])
    reviewing.correct(reviewable, "sky", 5, ["moon"])
    reviewing.correct(reviewable, "sky", 6, [])
    reviewing.accept(reviewable, "sky", 8)
    pairs = reviewing.examples_from_reviews(reviewable, "sky")
    assert [(label, image.id) for label, image in pairs] == [("moon", 5), ("star", 7)]


def test_a_label_that_the_set_has_not_is_refused(reviewable: Library) -> None:
    with pytest.raises(InvalidInput, match="no label 'rain'"):
        reviewing.correct(reviewable, "sky", 5, ["rain"])
    with pytest.raises(InvalidInput, match="bears one label"):
        reviewing.correct(reviewable, "sky", 5, ["sun", "moon"])


def test_in_the_mode_multi_the_nearest_to_a_threshold_come_first(reviewable: Library) -> None:
    labels = [Label(name=one, prompts=(one,), min_probability=0.3 if one == "sun" else None) for one in NAMES]
    save(reviewable, labels=labels, mode="multi")
    tag_collection(reviewable, "sky", top=4)
    entries = reviewing.queue(reviewable, "sky", limit=100).entries
    expected = [
        min(abs(choice.probability - (0.3 if choice.label == "sun" else 0.5)) for choice in one.choices)
        for one in entries
    ]
    assert [one.distance for one in entries] == pytest.approx(expected)
    assert expected == sorted(expected)
    made = reviewing.correct(reviewable, "sky", 5, ["sun", "moon"])
    assert made.labels == ["moon", "sun"]
    assert 5 in tagged(reviewable, "sky:sun", "sky:moon")
