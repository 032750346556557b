"""Tags: what is kept, what answers, how an interrupted tagging goes on, and who stands before whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from library_fixtures import CountingEncoder, draw, draw_many, index
from sqlalchemy import event

from clipsearch.answers import TaggingReport
from clipsearch.api import OpenLibrary
from clipsearch.browsing import list_images, remove_images
from clipsearch.database import collections as collection_rows
from clipsearch.database import label_embeddings as label_vectors
from clipsearch.database import label_sets as label_rows
from clipsearch.database import taggings as tagging_rows
from clipsearch.database.image_tags import tags_of_images
from clipsearch.database.images import image_rows
from clipsearch.database.reviews import save_review
from clipsearch.errors import Conflict, InvalidFilter, InvalidInput, LabelSetNotFound, NotFound
from clipsearch.examining import examine
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.queries import Filters
from clipsearch.tagging import applying, list_taggings, refresh_tags, show_tags, tag_collection, untag

NAMES = ("sun", "moon", "star", "sky")


def save(library: Library, name: str = "sky", *, names: tuple[str, ...] = NAMES, **given: Any) -> None:
    """Store a label set, or put it in the place of the one of its name."""
    labels = tuple(
        one if isinstance(one, Label) else Label(name=one, prompts=(one,)) for one in given.pop("labels", names)
    )
    wanted = LabelSet(labels=labels, templates=("{}",), **given)
    with library.database.write() as connection:
        label_rows.save_label_set(connection, name, wanted, replace=True)


def tagged(library: Library, *tags: str, **thresholds: float) -> list[int]:
    """The images that the filter lets through."""
    filters = Filters(tags=tags, **thresholds)  # type: ignore[arg-type]
    return [one.id for one in list_images(library, filters=filters)]


def each_label(library: Library, *, names: tuple[str, ...] = NAMES, **thresholds: float) -> dict[str, list[int]]:
    return {name: tagged(library, f"sky:{name}", **thresholds) for name in names}


def rows_of_tags(library: Library) -> int:
    with library.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM tag").scalar_one())


@pytest.fixture
def indexed(any_library: Library, photos: Path) -> Library:
    """Twelve pictures, on SQLite and on PostgreSQL, and a label set."""
    draw_many(photos, 12)
    index(any_library, photos)
    save(any_library)
    return any_library


def test_every_image_gets_its_best_labels_and_no_picture_is_opened(indexed: Library, encoder: CountingEncoder) -> None:
    before = encoder.images
    report = tag_collection(indexed, "sky", top=2)
    assert (report.tagged, report.unchanged, report.anew) == (12, 0, False)
    assert rows_of_tags(indexed) == 24
    assert encoder.images == before
    found = each_label(indexed)
    assert sorted(number for several in found.values() for number in several) == list(range(1, 13))
    assert tagged(indexed, "sky") == list(range(1, 13))
    assert tagged(indexed, "sky:-") == []


def test_a_second_tagging_finds_nothing_to_do(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    report = tag_collection(indexed, "sky")
    assert (report.tagged, report.unchanged) == (0, 12)


def test_new_and_changed_images_are_tagged_by_a_refresh(indexed: Library, photos: Path) -> None:
    tag_collection(indexed, "sky")
    draw(photos / "0003.png", 77)
    draw(photos / "new.png", 78)
    index(indexed, photos)
    assert len(tagged(indexed, "sky")) == 11, "neither the new nor the changed one has tags that are its own"
    (report,) = refresh_tags(indexed)
    assert (report.tagged, report.unchanged, report.problem) == (2, 11, None)
    assert len(tagged(indexed, "sky")) == 13


def test_a_tagging_that_is_not_automatic_waits_for_a_person(indexed: Library, photos: Path) -> None:
    tag_collection(indexed, "sky", automatic=False)
    draw(photos / "new.png", 78)
    index(indexed, photos)
    assert refresh_tags(indexed) == []
    (listed,) = list_taggings(indexed)
    assert (listed.images, listed.tagged, listed.automatic, listed.stale) == (13, 12, False, False)


def test_a_changed_threshold_changes_the_answer_and_not_the_rows(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    kept = rows_of_tags(indexed)
    save(indexed, min_probability=1.0)
    assert tagged(indexed, "sky") == []
    assert len(tagged(indexed, "sky:-")) == 12
    assert len(tagged(indexed, "sky", min_tag_probability=0.0)) == 12, (
        "a threshold of the query stands before the set's"
    )
    assert rows_of_tags(indexed) == kept
    assert tag_collection(indexed, "sky").tagged == 0


def test_a_threshold_of_a_label_stands_before_that_of_its_set(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    found = each_label(indexed)
    strict = next(name for name in NAMES if found[name])
    save(indexed, labels=[Label(name=one, prompts=(one,), min_probability=1.0 if one == strict else None)
                          for one in NAMES], min_probability=0.0)  # fmt: skip
    assert each_label(indexed) == {**found, strict: []}
    assert tagged(indexed, "sky:-") == found[strict]


def test_tags_of_another_version_with_other_scores_do_not_answer(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    save(indexed, names=("sun", "moon", "star", "cloud"))
    with pytest.raises(Conflict, match="clipsearch tags apply sky -c default"):
        tagged(indexed, "sky:sun")
    (listed,) = list_taggings(indexed)
    assert (listed.stale, listed.tagged, listed.version_made, listed.version_now) == (True, 0, 1, 2)
    (left,) = refresh_tags(indexed)
    assert left.problem is not None
    assert left.tagged == 0
    report = tag_collection(indexed, "sky")
    assert (report.tagged, report.anew) == (12, True)
    assert len(tagged(indexed, "sky")) == 12
    assert rows_of_tags(indexed) == 36


def test_tags_do_not_outlive_the_embeddings_that_came_with_a_set(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    view = indexed.index(indexed.collection())
    assert view is not None
    vectors = view.index.vectors(view.index.ids()[:4])
    save(indexed)
    with indexed.database.write() as connection:
        label_set = label_rows.get_label_set(connection, "sky")
        label_vectors.save_label_embeddings(connection, label_set, view.model.id, vectors)
    with pytest.raises(Conflict, match="tags apply sky"):
        tagged(indexed, "sky")


def test_a_deleted_set_takes_its_tags_along(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    with indexed.database.write() as connection:
        label_rows.delete_label_set(connection, "sky")
    assert rows_of_tags(indexed) == 0
    assert list_taggings(indexed) == []


def test_an_interrupted_tagging_goes_on_where_it_stopped(indexed: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "BLOCK", 5)

    def stop(done: int, total: int) -> None:
        assert total == 12
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_collection(indexed, "sky", on_progress=stop)
    assert len(tagged(indexed, "sky")) == 5
    told: list[tuple[int, int]] = []
    report = tag_collection(indexed, "sky", on_progress=lambda *counts: told.append(counts))
    assert (report.tagged, report.unchanged) == (7, 5)
    assert told == [(10, 12), (12, 12)]
    assert rows_of_tags(indexed) == 36


def test_a_removal_that_was_cut_short_leaves_no_tag_that_answers(
    indexed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag_collection(indexed, "sky")
    remove = tagging_rows.remove_some_tags
    calls = []

    def remove_a_few(connection: Any, tagging_id: int) -> int:
        calls.append(tagging_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return remove(connection, tagging_id, 7)

    monkeypatch.setattr(tagging_rows, "remove_some_tags", remove_a_few)
    with pytest.raises(KeyboardInterrupt):
        untag(indexed, "sky")
    assert 0 < rows_of_tags(indexed) < 36
    with pytest.raises(Conflict, match="removal"):
        tagged(indexed, "sky")
    monkeypatch.undo()
    assert tag_collection(indexed, "sky").tagged == 12
    assert rows_of_tags(indexed) == 36


def test_removed_tags_are_gone_and_the_set_is_no_longer_applied(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    assert untag(indexed, "sky") == 12
    assert rows_of_tags(indexed) == 0
    with pytest.raises(NotFound, match="not applied"):
        untag(indexed, "sky")
    with pytest.raises(Conflict, match="tags apply"):
        tagged(indexed, "sky:sun")


def test_a_set_that_changes_while_it_is_applied_is_noticed(indexed: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "BLOCK", 5)

    def retag(done: int, total: int) -> None:
        if done == 5:
            monkeypatch.setattr(applying, "BLOCK", 50)
            save(indexed, names=("a", "b"))
            tag_collection(indexed, "sky")

    with pytest.raises(Conflict, match="run the command again"):
        tag_collection(indexed, "sky", on_progress=retag)
    assert rows_of_tags(indexed) == 24, "the tags of the later version, whole"


def test_images_that_leave_take_their_tags_out_of_every_answer(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    remove_images(indexed, [3, 4])
    assert len(tagged(indexed, "sky")) == 10
    counts = show_tags(indexed, "sky")
    assert sum(one.images for one in counts.labels) == 10
    assert (counts.tagging.images, counts.tagging.tagged, counts.rejected) == (10, 10, 0)


def test_labels_and_categories_are_counted(indexed: Library) -> None:
    labels = [Label(name=one, prompts=(one,), category="lights" if one != "sky" else None) for one in NAMES]
    save(indexed, labels=labels)
    tag_collection(indexed, "sky")
    found, counts = each_label(indexed), show_tags(indexed, "sky")
    assert {one.label: one.images for one in counts.labels} == {name: len(ids) for name, ids in found.items()}
    lights = sorted(number for name in NAMES[:3] for number in found[name])
    assert [(one.category, one.images) for one in counts.categories] == [("lights", len(lights))]
    assert tagged(indexed, "sky:lights") == lights
    none = show_tags(indexed, "sky", min_probability=1.0)
    assert (none.rejected, sum(one.images for one in none.labels)) == (12, 0)


def test_all_tags_of_a_filter_must_hold(indexed: Library) -> None:
    save(indexed, "other")
    tag_collection(indexed, "sky")
    tag_collection(indexed, "other")
    found = each_label(indexed)
    for name in NAMES:
        assert tagged(indexed, f"sky:{name}", f"other:{name}") == found[name]
    assert tagged(indexed, "sky:sun", "other:moon") == []


def test_a_tag_that_cannot_be_meant_is_refused_by_name(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    with pytest.raises(InvalidFilter, match="did you mean 'moon'"):
        tagged(indexed, "sky:mon")
    with pytest.raises(LabelSetNotFound, match="SET:LABEL"):
        tagged(indexed, "nosuch:moon")
    with pytest.raises(InvalidFilter, match="lacks its label"):
        tagged(indexed, "sky:")


def test_more_images_than_one_call_may_tag_are_refused_with_the_command(indexed: Library) -> None:
    with pytest.raises(Conflict, match="clipsearch tags apply sky"):
        tag_collection(indexed, "sky", at_most=11)
    assert tag_collection(indexed, "sky", at_most=12).tagged == 12
    assert tag_collection(indexed, "sky", at_most=0).tagged == 0, "what has its tags is not in the way"
    with pytest.raises(Conflict, match="12 images wait"):
        tag_collection(indexed, "sky", top=1, at_most=11)
    assert len(tagged(indexed, "sky")) == 12, "and what it had stays"


def test_an_empty_collection_has_nothing_to_tag(any_library: Library) -> None:
    save(any_library)
    any_library.ensure_collection(None)
    with pytest.raises(InvalidInput, match="no images yet"):
        tag_collection(any_library, "sky")


def test_in_the_mode_multi_every_label_stands_for_itself(indexed: Library) -> None:
    save(indexed, mode="multi", min_probability=0.0)
    report: TaggingReport = tag_collection(indexed, "sky", top=4)
    assert report.tagged == 12
    assert all(len(ids) == 12 for ids in each_label(indexed).values())
    assert all(ids == [] for ids in each_label(indexed, min_tag_probability=1.0).values())


def test_the_python_door_tags_what_it_indexes(indexed: Library, photos: Path) -> None:
    door = OpenLibrary(indexed)
    assert door.tag("sky").tagged == 12
    draw(photos / "new.png", 78)
    door.index(photos)
    assert door.tags("sky").tagging.tagged == 13
    assert len(door.review("sky", limit=100).entries) == 13
    assert door.untag("sky") == 13


def test_the_doctor_counts_tags_that_do_not_answer_and_finds_no_fault(indexed: Library) -> None:
    save(indexed, "other")
    tag_collection(indexed, "sky")
    tag_collection(indexed, "other")
    remove_images(indexed, [3])
    save(indexed, names=("sun", "moon"))
    report = examine(indexed)
    assert report.healthy
    assert {name: report.checked[name] for name in ("taggings", "stale_taggings", "tagged_images_gone")} == {
        "taggings": 2, "stale_taggings": 1, "tagged_images_gone": 2,
    }  # fmt: skip


def test_a_refresh_writes_no_scores_of_a_set_that_changed_at_this_moment(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag_collection(indexed, "sky")
    draw_many(photos, 3, start=50)
    index(indexed, photos)
    real = applying._chosen

    def changed(library: Library, name: str) -> Any:
        save(indexed, names=NAMES[::-1])
        return real(library, name)

    monkeypatch.setattr(applying, "_chosen", changed)
    (report,) = refresh_tags(indexed)
    assert report.tagged == 0
    assert "was changed" in (report.problem or "")
    assert rows_of_tags(indexed) == 12 * 3, "what waited waits"


def test_images_without_an_embedding_are_told_and_not_tagged(indexed: Library) -> None:
    with indexed.database.write() as connection:
        revision = collection_rows.advance(connection, indexed.collection().id)
        connection.exec_driver_sql("DELETE FROM embedding WHERE image_id IN (3, 5)")
        connection.exec_driver_sql(f"UPDATE image SET revision = {revision} WHERE id IN (3, 5)")
    report = tag_collection(indexed, "sky")
    assert (report.tagged, report.unchanged, report.waiting) == (10, 0, 2)
    again = tag_collection(indexed, "sky")
    assert (again.tagged, again.unchanged, again.waiting) == (0, 10, 2)


def test_the_writer_keeps_the_cache_it_had(library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    index(library, photos)
    save(library)

    def cache() -> int:
        with library.database.write() as connection:
            return int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

    before = cache()
    tag_collection(library, "sky")
    assert cache() == before


def test_tags_of_many_images_are_read_in_as_many_queries_as_those_of_few(indexed: Library) -> None:
    tag_collection(indexed, "sky")
    with indexed.database.write() as connection:
        label_set = label_rows.get_label_set(connection, "sky")
        for image in image_rows(connection, range(1, 11)).values():
            save_review(connection, label_set.id, label_set.version, image, "corrected", ["moon"])
    save(indexed, min_probability=0.1)
    asked: list[str] = []
    with indexed.database.read() as connection:
        state = tagging_rows.standing_tagging(connection, indexed.collection().id, "sky")
        event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
        tags_of_images(connection, state, [1])
        few = len(asked)
        found = tags_of_images(connection, state, list(range(1, 13)))
    assert len(asked) == 2 * few
    assert {(tag.source, tag.label, tag.label_set_version) for number in range(1, 11) for tag in found[number]} == {
        ("person", "moon", 1)
    }
