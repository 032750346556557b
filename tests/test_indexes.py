"""The hall's indexes: what is counted as saved, and that an index that was thrown away does not come back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from library_fixtures import CountingEncoder, draw_many, index, library_with

from clipsearch import indexes
from clipsearch.library import Library
from clipsearch.vector_index import save_snapshot


def test_what_changes_while_a_snapshot_is_written_is_not_taken_for_saved(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 3)
    index(library, photos)
    row, held = library.collection(), library._indexes._held(library.collection())

    def index_elsewhere(count: int, start: int) -> None:
        draw_many(photos, count, start=start)
        with library_with(encoder, library.settings.data_dir) as other:
            index(other, photos)

    def slowly(*given: Any) -> Any:
        monkeypatch.setattr(indexes, "save_snapshot", save_snapshot)
        index_elsewhere(2, start=4)
        library.index(row)  # a search, beside the writing
        return save_snapshot(*given)

    index_elsewhere(1, start=3)
    monkeypatch.setattr(indexes, "save_snapshot", slowly)
    assert library.keep_snapshot(row)
    assert held.unsaved_rows == 2
    assert library.keep_snapshot(row)
    assert held.unsaved_rows == 0
    assert not library.keep_snapshot(row)


def test_an_index_that_is_thrown_away_at_this_moment_is_not_brought_back(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 3)
    index(library, photos)
    row = library.collection()
    held, kept = library._indexes._held(row), library._indexes.view
    before = held.view

    def view(*given: Any, **options: Any) -> Any:
        found = kept(*given, **options)
        held.view = None  # by another thread's rebuilding
        return found

    monkeypatch.setattr(library._indexes, "view", view)
    monkeypatch.setattr(indexes, "rebuild_due", lambda _index: True)
    assert not library.keep_snapshot(row)
    assert held.view is None
    monkeypatch.undo()
    library.rebuild_index(row)
    assert library._indexes._held(row).view not in (None, before)


def test_who_holds_an_index_of_before_a_rebuilding_does_not_write_it(library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    index(library, photos)
    row = library.collection()
    held = library._indexes._held(row)
    assert held.view is not None
    view, changed = held.view, held.changed_rows
    library.rebuild_index(row)
    assert not library._indexes._save(row, held, view, changed, wait=True)


def test_a_search_does_not_wait_for_a_snapshot_that_another_thread_writes(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "SNAPSHOT_ROWS", 1)
    draw_many(photos, 3)
    index(library, photos)
    row = library.collection()
    draw_many(photos, 2, start=3)
    with library_with(encoder, library.settings.data_dir) as other:
        index(other, photos)
    held = library._indexes._held(row)
    found: list[Any] = []
    with held.saving:
        searcher = threading.Thread(target=lambda: found.append(library.index(row, wait=False)))
        searcher.start()
        searcher.join(timeout=60)
        assert not searcher.is_alive()
    assert len(found[0].index) == 5
    assert not found[0].stale
