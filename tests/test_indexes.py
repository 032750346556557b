"""The hall's indexes: what is counted as saved, and that an index that was thrown away does not come back."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_fixtures import CountingEncoder, draw_many, index, library_with, unit_rows

from clipsearch import indexes, trainer
from clipsearch.errors import CollectionNotFound
from clipsearch.importing import import_embeddings
from clipsearch.inspecting import show_collection
from clipsearch.library import Library
from clipsearch.vector_index import rebuild_due, rebuilt, save_snapshot, sizes


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
    monkeypatch.setattr(trainer, "rebuild_due", lambda _index, floor: True)
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


@pytest.fixture
def cells_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of images is enough for an approximate index."""
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 20)
    monkeypatch.setattr(trainer, "rebuild_due", partial(rebuild_due, exact_bytes=0))
    monkeypatch.setattr(trainer, "rebuilt", partial(rebuilt, exact_bytes=0))


def eventually(happens: Any) -> bool:
    end = time.monotonic() + 60
    while not happens() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(happens())


@pytest.mark.usefixtures("cells_soon")
def test_a_run_ends_with_an_index_that_was_measured_with_texts_of_the_model(
    library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    draw_many(photos, 60)
    index(library, photos)
    found = show_collection(library).index
    assert found is not None
    assert found.kind == "ivf_sq8"
    assert found.trial is not None
    assert found.trial.in_service
    assert found.trial.text_source == "encoded"
    assert found.trial.text_queries == encoder.texts == trainer.FEWEST_TEXTS
    assert min(found.trial.recall_image, found.trial.recall_text) >= library.settings.recall_floor
    with library_with(encoder, library.settings.data_dir) as other:
        again = show_collection(other).index
    assert again is not None
    assert again.trial == found.trial
    assert again.mapped_bytes > 0


@pytest.mark.usefixtures("cells_soon")
def test_prompts_that_are_kept_are_measured_before_texts_of_our_own(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).standard_normal((300, encoder.model.dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    monkeypatch.setattr(trainer, "text_vectors", lambda *_given: rows)
    draw_many(photos, 40)
    index(library, photos)
    found = show_collection(library).index
    assert found is not None
    assert found.trial is not None
    assert (found.trial.text_source, found.trial.text_queries, encoder.texts) == ("stored", 300, 0)


@pytest.mark.usefixtures("cells_soon")
def test_an_index_below_the_floor_does_not_serve_and_the_collection_says_so(
    library: Library, photos: Path, encoder: CountingEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    draw_many(photos, 40)
    index(library, photos)
    row = library.collection()
    library.close()
    with library_with(encoder, library.settings.data_dir) as other:
        other._indexes._trainer.floor = 1.5
        found = show_collection(other).index
        assert found is not None
        assert (found.kind, found.trial and found.trial.in_service) == ("flat_fp16", False)
        assert "search is exact" in caplog.text
        other.keep_snapshot(row)  # trained anew for what is wanted, measured, and found too bad
        assert "search stays exact" in caplog.text
        found = show_collection(other).index
        assert found is not None
        assert found.kind == "flat_fp16"
        assert not other.keep_snapshot(row)  # and not tried again


@pytest.mark.usefixtures("cells_soon")
def test_a_server_trains_in_the_background_once_and_takes_over_what_changed_meanwhile(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 1000)
    draw_many(photos, 40)
    index(library, photos)
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 20)
    began, go_on = threading.Event(), threading.Event()
    trainings = []

    def slowly(given: Any, **options: Any) -> Any:
        trainings.append(len(given))
        began.set()
        assert go_on.wait(60)
        return rebuilt(given, exact_bytes=0, **options)

    monkeypatch.setattr(trainer, "rebuilt", slowly)
    with library_with(encoder, library.settings.data_dir) as server:
        row = server.collection()
        server.start_retraining()
        before = server.index(row)
        assert before is not None
        assert before.index.kind == "flat_fp16"
        assert began.wait(60)
        draw_many(photos, 3, start=40)
        with library_with(encoder, library.settings.data_dir) as other:
            monkeypatch.setattr(other._indexes, "keep_snapshot", lambda *_given: False)
            index(other, photos)
        meanwhile = server.index(row)  # no search waits for the training
        assert meanwhile is not None
        assert (meanwhile.index.kind, len(meanwhile.index)) == ("flat_fp16", 43)
        go_on.set()
        held = server._indexes._held(row)
        assert eventually(lambda: held.view is not None and held.view.index.kind == "ivf_sq8")
        after = server.index(row)
        assert after is not None
        assert (len(after.index), after.stale) == (43, False)
        assert trainings == [40]


@pytest.mark.usefixtures("cells_soon")
def test_closing_ends_a_training_that_is_under_way(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 1000)
    draw_many(photos, 40)
    index(library, photos)
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 20)
    began = threading.Event()

    def endless(_index: Any, *, check: Any, **_options: Any) -> Any:
        began.set()
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setattr(trainer, "rebuilt", endless)
    with library_with(encoder, library.settings.data_dir) as server:
        server.start_retraining()
        server.index(server.collection())
        assert began.wait(60)
        thread = server._indexes._trainer._thread
    assert thread is not None
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("in_service", "told"),
    [
        (None, ["1 (exact)"]),
        (True, ["0.981 for images, 0.975 for texts", "300 and 250 queries (texts: stored)", "8 of 4,096 cells"]),
        (False, ["1 (exact); an approximate index did not reach the recall wanted", "0.975 for texts"]),
    ],
)
def test_the_collection_is_shown_with_what_was_measured_of_its_index(in_service: bool | None, told: list[str]) -> None:
    from clipsearch.answers import IndexInfo, TrialInfo
    from clipsearch.cli.collections import _index_lines

    trial = None if in_service is None else TrialInfo(
        in_service=in_service, recall_image=0.981, recall_text=0.975, image_queries=300, text_queries=250,
        text_source="stored", rows=10**6, cells=4096, probes=8,
    )  # fmt: skip
    kind = "ivf_sq8" if in_service else "flat_fp16"
    shown = _index_lines(
        IndexInfo(kind=kind, images=10**6, revision=3, memory_bytes=1_560_000_000, mapped_bytes=10**9, trial=trial)
    )
    assert shown["index"] == f"{kind}, 1560.0 MB (1000.0 MB of it mapped)"
    assert all(one in " ".join(shown.values()) for one in told)
    assert ("probes" in shown) == bool(in_service)


@pytest.mark.usefixtures("cells_soon")
def test_a_training_that_found_another_at_work_can_be_asked_for_again(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 1000)
    draw_many(photos, 40)
    index(library, photos)
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 20)
    with library_with(encoder, library.settings.data_dir) as server:
        row = server.collection()
        held, trainer_ = server._indexes._held(row), server._indexes._trainer
        tried = threading.Event()
        retrain = server._indexes._retrain

        def noted(*given: Any) -> None:
            retrain(*given)
            tried.set()

        monkeypatch.setattr(server._indexes, "_retrain", noted)
        with held.training:
            server.start_retraining()
            server.index(row)
            assert tried.wait(60)
        before = server.index(row)
        assert before is not None
        assert before.index.kind == "flat_fp16"
        trainer_.ask(row)  # as the next search after a change does
        assert eventually(lambda: held.view is not None and held.view.index.kind == "ivf_sq8")


def test_a_training_that_fails_can_be_asked_for_again(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    row, tried = library.create_collection("default"), threading.Semaphore(0)

    def busy(_collection: Any) -> None:
        tried.release()
        raise RuntimeError("too busy")

    library._indexes._trainer.start(busy)
    for _ in range(2):
        library._indexes._trainer.ask(row)
        assert tried.acquire(timeout=60)
    library.close()
    assert caplog.text.count("could not be trained") == 2


@pytest.mark.usefixtures("cells_soon")
def test_an_exact_index_is_not_written_over_one_that_another_process_trained_but_gives_way_to_it(
    library: Library, photos: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_many(photos, 15)
    index(library, photos)
    with library_with(encoder, library.settings.data_dir) as server:
        row = server.collection()
        exact = server.index(row)
        assert exact is not None
        assert exact.index.kind == "flat_fp16"
        draw_many(photos, 45, start=15)
        index(library, photos)
        monkeypatch.setattr(indexes, "SNAPSHOT_ROWS", 1)
        server.index(row)
        with library_with(encoder, library.settings.data_dir) as third:
            kept = show_collection(third).index
        assert kept is not None
        assert kept.kind == "ivf_sq8"
        after = server.index(row)
        assert after is not None
        assert (after.index.kind, len(after.index), after.stale) == ("ivf_sq8", 60, False)
        assert after.index.trial is not None
        assert after.index.trial.rows == 60
        assert not server.keep_snapshot(row)  # it is on disk already


@pytest.fixture
def in_training(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> list[Any]:
    """Forty images and no cells yet; what is put into the list is done in the middle of the next training."""
    request.getfixturevalue("cells_soon")
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 1000)
    draw_many(photos, 40)
    index(library, photos)
    monkeypatch.setattr(sizes, "FEWEST_ROWS_IN_CELLS", 20)
    meanwhile: list[Any] = []

    def interrupted(given: Any, **options: Any) -> Any:
        trained = rebuilt(given, exact_bytes=0, **options)
        while meanwhile:
            meanwhile.pop()()
        return trained

    monkeypatch.setattr(trainer, "rebuilt", interrupted)
    return meanwhile


def test_a_collection_that_is_deleted_while_its_index_is_trained_leaves_no_snapshot(
    library: Library, in_training: list[Any]
) -> None:
    row = library.collection()
    folder = library._indexes._folder_of(row)
    assert folder.exists()
    in_training.append(lambda: library.delete_collection("default"))
    assert not library.keep_snapshot(row)
    assert not folder.exists()


def test_a_collection_that_another_process_deletes_while_its_index_is_trained_leaves_no_snapshot(
    library: Library, in_training: list[Any], encoder: CountingEncoder
) -> None:
    row = library.collection()
    with library_with(encoder, library.settings.data_dir) as other:
        in_training.append(lambda: other.delete_collection("default"))
        with pytest.raises(CollectionNotFound):
            library.keep_snapshot(row)
    assert not library._indexes._folder_of(row).exists()


def test_an_index_that_is_rebuilt_while_another_is_trained_from_the_old_one_stays(
    library: Library, in_training: list[Any]
) -> None:
    row = library.collection()
    held = library._indexes._held(row)
    assert held.view is not None
    damaged = held.view.index.with_changes(removed=np.array([5], dtype=np.int64))
    held.view = replace(held.view, index=damaged)
    in_training.append(lambda: library.rebuild_index(row))
    library.keep_snapshot(row)
    view = library.index(row)
    assert view is not None
    assert len(view.index) == 40


def test_a_snapshot_of_imported_embeddings_is_believed_when_their_weights_are_met(
    library: Library, tmp_path: Path, encoder: CountingEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "rows.npy", unit_rows(5, encoder.model.dimension))
    (tmp_path / "names.json").write_text(json.dumps([f"{number}.png" for number in range(5)]))
    import_embeddings(
        library, tmp_path / "rows.npy", tmp_path / "names.json", model=encoder.model.name, logit_scale=100.0
    )
    row = library.collection()
    library.keep_snapshot(row)
    with library_with(encoder, library.settings.data_dir) as other:
        assert other.encoder_for(row)[1].model.fingerprint
        view = other.index(row)
    assert view is not None
    assert view.index.mapped_bytes > 0
    assert "not used" not in caplog.text
