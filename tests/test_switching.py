"""Further models of a collection: what is embedded, what is switched, and what is refused; on both databases."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_fixtures import draw, draw_many, index, picture, unit_rows
from sqlalchemy import text
from switching_fixtures import NEW, OLD, counting, library_of_two, new_encoder

from clipsearch import following
from clipsearch.adding import NewPicture, add_pictures
from clipsearch.answers.models import CollectionModel
from clipsearch.database import collections as collection_rows
from clipsearch.database import embedding_runs
from clipsearch.database import images as image_rows
from clipsearch.database import models as model_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.images import NewImage
from clipsearch.errors import (
    AlreadyRunning,
    ClipSearchError,
    CollectionNotFound,
    Conflict,
    ModelMismatch,
    ModelNotFound,
    ModelSwitched,
)
from clipsearch.examining import examine
from clipsearch.images import path_of
from clipsearch.inspecting import show_collection
from clipsearch.label_files import draft_of
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search
from clipsearch.switching import (
    add_model,
    list_models,
    missing_images,
    queue_embedding,
    remove_model,
    switch_model,
)
from clipsearch.switching import embedding as embedding_module
from clipsearch.tagging import list_taggings, refresh_tags, tag_collection

PICTURES = 20


@pytest.fixture
def two(tmp_path: Path, database_url: str) -> Iterator[Library]:
    """A library with pictures embedded by OLD, and NEW at hand."""
    with library_of_two(tmp_path / "data", database_url=database_url) as library:
        draw_many(tmp_path / "photos", PICTURES)
        index(library, tmp_path / "photos")
        yield library


def states(library: Library) -> dict[str, tuple[str, int, int]]:
    return {one.name: (one.state, one.embedded, one.images) for one in list_models(library).models}


def found_by_itself(library: Library, path: Path) -> str:
    """The uri of the best hit of a picture's own bytes."""
    return search(library, Query(terms=(Term(image=path),), k=1)).hits[0].image.uri


def vectors(library: Library, name: str) -> dict[str, np.ndarray[Any, Any]]:
    with library.database.read() as connection:
        model = model_rows.find_model(connection, name)
        assert model is not None
        row = collection_rows.get_collection(connection, "default")
        ids = image_rows.present_ids(connection, row.id).tolist()
        rows = image_rows.image_rows(connection, ids)
        kept = vectors_of(connection, model.id, model.model.dimension, ids)
    return {rows[number].uri: vector for number, vector in kept.items()}


# Embedding ------------------------------------------------------------------------------------------------


def test_a_further_model_embeds_what_is_stored_and_the_first_one_goes_on_answering(
    two: Library, tmp_path: Path
) -> None:
    told: list[tuple[int, int, int]] = []
    before = two.collection()
    report = add_model(two, NEW, on_progress=lambda *counts: told.append(counts))
    assert (report.images, report.embedded, report.taken_over, report.lacking) == (PICTURES, PICTURES, 0, 0)
    assert (report.failed, report.ready, report.cancelled) == ([], True, False)
    assert told[0] == (0, PICTURES, 0)
    assert told[-1] == (PICTURES, PICTURES, 0)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert two.collection() == before, "an embedding is no change of the collection"
    assert states(two) == {OLD: ("active", PICTURES, PICTURES), NEW: ("ready", PICTURES, PICTURES)}
    encoder = counting(two, NEW)
    for path in (tmp_path / "photos").iterdir():
        made = encoder.encode_images([picture(int(path.stem))]).vectors[0]
        assert vectors(two, NEW)[str(path)] @ made > 0.999
    answer = search(two, Query(terms=(Term(image=tmp_path / "photos" / "0003.png"),), k=1))
    assert (answer.model, Path(answer.hits[0].image.uri).name) == (OLD, "0003.png")
    run = following.show_run(two, report.run_id)
    assert (run.kind, run.model, run.state, run.done, run.total) == ("embed", NEW, "done", PICTURES, PICTURES)
    assert run.counts == {"embedded": PICTURES, "taken_over": 0, "failed": 0, "before": 0}


def test_what_the_model_knows_by_its_content_is_not_embedded_again(two: Library, tmp_path: Path) -> None:
    add_model(two, NEW)
    encoder = counting(two, NEW)
    encoder.images = 0
    assert add_model(two, NEW).embedded == 0
    draw(tmp_path / "photos" / "copy.png", 3)  # a copy of 0003.png
    draw(tmp_path / "photos" / "new.png", 500)
    index(two, tmp_path / "photos")
    assert states(two)[NEW] == ("incomplete", PICTURES, PICTURES + 2)
    report = add_model(two, NEW)
    assert (report.embedded, report.taken_over, report.ready) == (2, 1, True)
    assert encoder.images == 1
    other = two.create_collection("other", OLD)
    from clipsearch.indexing import index_source

    index_source(two, tmp_path / "photos", collection=other.name)
    assert add_model(two, NEW, collection=other.name).taken_over == PICTURES + 2
    assert encoder.images == 1


def test_copies_are_embedded_once_and_one_whose_file_is_gone_by_its_twin(two: Library, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / "photos" / name, 700)
    index(two, tmp_path / "photos")
    (tmp_path / "photos" / "a.png").unlink()
    report = add_model(two, NEW)
    assert (report.embedded, report.failed, report.lacking) == (PICTURES + 2, [], 0)
    assert counting(two, NEW).images == PICTURES + 1


def test_files_that_are_gone_changed_or_damaged_are_named_and_the_images_stay(two: Library, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "0000.png").unlink()
    draw(photos / "0001.png", 900)
    if os.geteuid() != 0:
        (photos / "0002.png").chmod(0)
    with two.database.write() as connection:
        row = two.collection()
        model = model_rows.find_model(connection, OLD)
        assert model is not None
        revision = collection_rows.advance(connection, row.id)
        imported = NewImage(uri="imported", vector=unit_rows(1, 32)[0])
        image_rows.save_images(connection, row.id, revision, model.id, [imported])
    report = add_model(two, NEW)
    codes = {Path(one.uri).name: one.code for one in report.failed}
    expected = {"0000.png": "missing_file", "0001.png": "changed_file", "imported": "no_file"}
    expected |= {"0002.png": "unreadable_file"} if os.geteuid() != 0 else {}
    assert codes == expected
    assert report.lacking == len(expected)
    assert report.ready is False
    missing = missing_images(two, NEW)
    assert missing.total == len(expected)
    assert {Path(one.uri).name for one in missing.images} == set(expected)
    assert [one.code for one in following.run_failures(two, report.run_id)] == [one.code for one in report.failed]
    # Once the file is indexed as it is now, the gap is filled.
    (photos / "0002.png").chmod(0o600)
    index(two, photos)
    assert [one.code for one in add_model(two, NEW).failed] == ["no_file"]


def test_one_failure_that_goes_as_another_comes_is_told(two: Library, tmp_path: Path) -> None:
    """Between two commits, so that there are as many as before."""
    photos = tmp_path / "photos"
    (photos / "0000.png").unlink()
    run_id = queue_embedding(two, None, NEW)
    told: list[list[str]] = []

    def meddle(_done: int, _total: int, _failed: int) -> None:
        told.append([Path(one.uri).name for one in following.run_failures(two, run_id)])
        if told.count(["0000.png"]) == 1 and len(told[-1]) == 1:
            draw(photos / "0000.png", 901)
            draw(photos / "late.png", 902)
            index(two, photos)
            (photos / "late.png").unlink()

    report = add_model(two, NEW, run_id=run_id, on_progress=meddle)
    assert ["0000.png"] in told
    assert [Path(one.uri).name for one in report.failed] == ["late.png"]
    assert following.run_failures(two, run_id) == report.failed


def test_an_embedding_that_is_cancelled_goes_on_where_it_stopped(two: Library) -> None:
    run_id = queue_embedding(two, None, NEW)

    def stop(done: int, _total: int, _failed: int) -> None:
        if done == 8:
            following.cancel_run(two, run_id)

    report = add_model(two, NEW, run_id=run_id, on_progress=stop)
    assert report.cancelled
    assert following.show_run(two, run_id).state == "cancelled"
    assert 8 <= report.embedded < PICTURES
    counting(two, NEW).images = 0
    rest = add_model(two, NEW)
    assert rest.embedded == PICTURES - report.embedded == counting(two, NEW).images
    assert following.show_run(two, rest.run_id).counts["before"] == report.embedded


def test_indexing_searching_and_removing_go_on_while_images_are_embedded(two: Library, tmp_path: Path) -> None:
    """What changes meanwhile is embedded as it is at the end, and never as it was."""
    changed, gone = tmp_path / "photos" / "0015.png", tmp_path / "photos" / "0016.png"
    new = tmp_path / "photos" / "9999.png"

    def meanwhile(done: int, _total: int, _failed: int) -> None:
        if done == 8:
            gone.unlink()
            draw(changed, 1_000)
            draw(new, 1_001)
            assert index(two, tmp_path / "photos").changed == [str(changed)]
            assert found_by_itself(two, changed) == str(changed)

    report = add_model(two, NEW, on_progress=meanwhile)
    assert (report.lacking, report.images) == (0, PICTURES)
    kept = vectors(two, NEW)
    assert str(gone) not in kept
    for path, seed in ((changed, 1_000), (new, 1_001)):
        assert kept[str(path)] @ counting(two, NEW).encode_images([picture(seed)]).vectors[0] > 0.999


def test_an_embedding_of_what_changed_in_its_hands_is_not_kept(two: Library, tmp_path: Path) -> None:
    changed = tmp_path / "photos" / "0002.png"

    def before(_count: int) -> None:
        counting(two, NEW).before_encoding = lambda _count: None
        draw(changed, 1_000)
        index(two, tmp_path / "photos")

    counting(two, NEW).before_encoding = before
    report = add_model(two, NEW)
    assert report.ready
    assert vectors(two, NEW)[str(changed)] @ counting(two, NEW).encode_images([picture(1_000)]).vectors[0] > 0.999


def test_an_image_with_another_content_loses_what_other_models_made_of_it(two: Library, tmp_path: Path) -> None:
    add_model(two, NEW)
    photos = tmp_path / "photos"
    draw(photos / "0004.png", 1_000)
    os.utime(photos / "0005.png", ns=(1, 1))  # the same content at another time
    (photos / "0006.png").rename(photos / "moved.png")
    draw(photos / "0008.png", 7)  # a content that the library knows
    index(two, photos)
    assert set(vectors(two, OLD)) - set(vectors(two, NEW)) == {str(photos / "0004.png"), str(photos / "0008.png")}
    # The library knows by its hash what stood there before and stands there again, in another row.
    assert add_model(two, NEW).embedded == 2


def test_a_model_that_makes_nothing_of_a_picture_costs_that_image(
    two: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipsearch.errors import InvalidVector

    inner = counting(two, NEW).inner
    plain = inner.encode_prepared

    def refuse(pixels: Any) -> Any:
        bad = [place for place, one in enumerate(pixels) if abs(float(one.ravel()[0]) - spoilt) < 1e-6]
        if bad:
            raise InvalidVector("not a number", positions=bad)
        return plain(pixels)

    spoilt = float(inner.prepare(picture(5)).ravel()[0])
    monkeypatch.setattr(inner, "encode_prepared", refuse)
    report = add_model(two, NEW)
    assert [(Path(one.uri).name, one.code) for one in report.failed] == [("0005.png", "no_embedding")]
    assert report.embedded == PICTURES - 1


def test_after_a_run_that_died_at_once_files_are_decoded_apart(
    two: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead = queue_embedding(two, None, NEW)
    with two.database.write() as connection:
        connection.execute(
            text("UPDATE run SET state = 'running', holder = :holder, expires_at = :then WHERE id = :id"),
            {"id": dead, "holder": "process 999999999 on nowhere, started 1.00", "then": "2001-01-01 00:00:00+00:00"},
        )
    assert add_model(two, NEW).ready
    assert following.show_run(two, dead).state == "interrupted"
    assert "processes apart" in caplog.text
    caplog.clear()
    add_model(two, NEW)
    assert "processes apart" not in caplog.text


def test_a_run_whose_server_died_says_how_to_go_on(two: Library) -> None:
    dead = queue_embedding(two, None, NEW)
    with two.database.write() as connection:
        connection.execute(
            text("UPDATE run SET state = 'running', holder = :holder, expires_at = :then WHERE id = :id"),
            {"id": dead, "holder": "process 999999999 on nowhere, started 1.00", "then": "2001-01-01 00:00:00+00:00"},
        )
    assert following.close_orphaned_runs(two) == 1
    run = following.show_run(two, dead)
    assert run.state == "interrupted"
    assert run.error is not None
    assert run.error.endswith(f"the rest comes by: clipsearch models add {NEW} -c default")
    assert add_model(two, NEW).ready


def test_a_run_counts_as_alive_as_long_as_it_says_so(two: Library) -> None:
    row = two.collection()
    run_id = queue_embedding(two, None, NEW)
    with embedding_runs.kept_alive(two.database, run_id, 0.3):
        time.sleep(0.8)  # longer than it promised
        with two.database.read() as connection:
            assert embedding_runs.live_embedding(connection, row.id, NEW) == run_id
        with pytest.raises(AlreadyRunning, match=f"run {run_id} embeds this collection by {NEW} already"):
            add_model(two, NEW)
        with two.database.read() as connection:  # one that could only fail is not noted
            assert [run.id for run in run_rows.list_runs(connection, kind="embed")] == [run_id]
        with pytest.raises(Conflict, match="no model of the collection"):
            remove_model(two, NEW)
    time.sleep(0.4)
    with two.database.write() as connection:
        assert embedding_runs.live_embedding(connection, row.id, NEW) is None
        assert run_rows.interrupt_orphans(connection) == 1


def test_an_indexing_run_that_starts_leaves_an_embedding_at_work(two: Library, tmp_path: Path) -> None:
    run_id = queue_embedding(two, None, NEW)
    with embedding_runs.kept_alive(two.database, run_id, 5):
        index(two, tmp_path / "photos")
        following.close_orphaned_runs(two)
        assert following.show_run(two, run_id).state == "running"


def test_a_deleted_collection_ends_its_embedding(two: Library) -> None:
    def delete(done: int, _total: int, _failed: int) -> None:
        if done == 8:
            two.delete_collection("default")

    with pytest.raises(CollectionNotFound):
        add_model(two, NEW, on_progress=delete)
    with two.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM embedding")).scalar_one() == 0


# Switching ------------------------------------------------------------------------------------------------


def test_a_switch_is_one_step_and_back_again(two: Library, tmp_path: Path) -> None:
    add_model(two, NEW)
    photos = sorted((tmp_path / "photos").iterdir())
    before = two.collection()
    answer = switch_model(two, NEW)
    assert (answer.model, answer.previous, answer.lacking, answer.missing) == (NEW, OLD, 0, [])
    after = two.collection()
    assert (after.model_name, after.revision, after.id) == (NEW, before.revision + 1, before.id)
    assert answer.revision == after.revision
    assert states(two) == {NEW: ("active", PICTURES, PICTURES), OLD: ("ready", PICTURES, PICTURES)}
    for path in photos:
        found = search(two, Query(terms=(Term(image=path),), k=1))
        assert (found.model, found.hits[0].image.uri) == (NEW, str(path))
        assert found.hits[0].score > 0.999
    assert index(two, tmp_path / "photos").unchanged == list(map(str, photos)), "nothing is embedded again"
    draw(tmp_path / "photos" / "later.png", 800)
    assert index(two, tmp_path / "photos").encoded == 1
    with pytest.raises(Conflict, match="1 of the 21 images"):
        switch_model(two, OLD)
    add_model(two, OLD)
    assert switch_model(two, OLD).previous == NEW
    assert found_by_itself(two, tmp_path / "photos" / "later.png").endswith("later.png")
    assert examine(two).healthy


def test_another_library_that_has_the_index_open_notices_the_switch(
    two: Library, tmp_path: Path, database_url: str
) -> None:
    path = tmp_path / "photos" / "0007.png"
    with library_of_two(tmp_path / "elsewhere", database_url=database_url) as other:
        assert found_by_itself(other, path) == str(path)
        stale = other.collection()
        add_model(two, NEW)
        switch_model(two, NEW)
        answer = search(other, Query(terms=(Term(image=path),), k=1), wait=False)
        assert (answer.model, answer.hits[0].image.uri) == (NEW, str(path))
        assert answer.hits[0].score > 0.999
        with pytest.raises(ModelSwitched, match="ask again"):
            other.index(stale)


@pytest.mark.parametrize("dimension", [32, 48])
def test_no_search_mixes_two_models(tmp_path: Path, migrated_file: Path, dimension: int) -> None:
    """Also where both have as many dimensions, and only the scores could tell."""
    from library_fixtures import sqlite_url

    sqlite_url(tmp_path / "data", migrated_file)
    photos = draw_many(tmp_path / "photos", 12)
    ending = threading.Event()
    wrong: list[str] = []
    asked = {OLD: 0, NEW: 0}

    def ask(library: Library, seed: int) -> None:
        chance = np.random.default_rng(seed)
        while not ending.is_set():
            path = photos[int(chance.integers(len(photos)))]
            try:
                hit = search(library, Query(terms=(Term(image=path),), k=1), wait=bool(chance.integers(2)))
            except Exception as error:  # noqa: BLE001  nothing may be raised
                wrong.append(repr(error))
                return
            asked[hit.model] += 1
            if hit.hits[0].image.uri != str(path) or hit.hits[0].score < 0.999:
                wrong.append(f"{hit.model}: {hit.hits[0].image.uri} for {path} at {hit.hits[0].score}")

    with library_of_two(tmp_path / "data", dimension=dimension) as library:
        index(library, tmp_path / "photos")
        add_model(library, NEW)
        threads = [threading.Thread(target=ask, args=(library, seed)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(12):
            switch_model(library, OLD if turn % 2 else NEW, keep_snapshot=turn % 3 == 0)
        ending.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert min(asked.values()) > 0


def test_a_snapshot_of_before_a_switch_is_never_believed(two: Library, tmp_path: Path, database_url: str) -> None:
    """To NEW, back to OLD, NEW with other vectors of the same length: an index on disk of the first NEW is of the
    past, though name, dimension and revision are in order."""
    add_model(two, NEW)
    folder = tmp_path / "data" / "indexes"
    switch_model(two, NEW)
    two.keep_snapshot(two.collection())
    kept = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    where = next(path.parent for path in folder.rglob("*") if path.is_file())
    switch_model(two, OLD)
    remove_model(two, NEW)
    with two.database.write() as connection:
        model = model_rows.find_model(connection, NEW)
        assert model is not None
        connection.execute(
            text("UPDATE model SET fingerprint = :new WHERE id = :id"), {"new": "e" * 64, "id": model.id}
        )
    other = new_encoder(fingerprint="e" * 64)
    other.inner._projection[:] = np.random.default_rng(9).standard_normal((192, 48))  # type: ignore[attr-defined]
    two._encoders[NEW] = other
    add_model(two, NEW)
    switch_model(two, NEW)
    for path in where.iterdir():
        path.unlink()
    for name, data in kept.items():
        (where / name).write_bytes(data)
    with library_of_two(tmp_path / "data", database_url=database_url) as again:
        again._encoders[NEW] = other
        for path in (tmp_path / "photos").iterdir():
            hit = search(again, Query(terms=(Term(image=path),), k=1)).hits[0]
            assert hit.image.uri == str(path)
            assert hit.score > 0.999


def test_images_that_lack_the_model_leave_the_searches_only_when_that_was_said(two: Library, tmp_path: Path) -> None:
    (tmp_path / "photos" / "0000.png").unlink()
    gone = str(tmp_path / "photos" / "0000.png")
    report = add_model(two, NEW)
    assert [one.uri for one in report.failed] == [gone]
    with pytest.raises(Conflict, match=f"1 of the {PICTURES} images of 'default' have no embedding by {NEW} yet; run: "
                                       f"clipsearch models add {NEW} -c default") as refused:  # fmt: skip
        switch_model(two, NEW)
    assert refused.value.details == {"lacking": 1, "images": PICTURES}
    answer = switch_model(two, NEW, allow_missing=True)
    assert (answer.lacking, answer.missing) == (1, [gone])
    found = search(two, Query(terms=(Term(text="anything"),), k=100))
    assert len(found.hits) == PICTURES - 1
    shown = show_collection(two)
    assert (shown.images, shown.unsearchable) == (PICTURES, 1)
    (lacking,) = (one for one in examine(two).findings if one.code == "images_without_model")
    assert (lacking.severity, lacking.subjects) == ("info", [gone])
    # The row stayed, and the image is found again when its file is back.
    draw(tmp_path / "photos" / "0000.png", 0)
    index(two, tmp_path / "photos")
    assert show_collection(two).unsearchable == 0


def test_a_repair_after_a_switch_takes_nothing_and_adding_the_model_brings_the_rest(
    two: Library, tmp_path: Path
) -> None:
    """Of what lacks the new model some have a file, one is an upload, and one was imported and never had a file."""
    add_model(two, NEW)
    data = io.BytesIO()
    picture(900).save(data, "PNG")
    (sent,) = add_pictures(two, [NewPicture("sent.png", data.getvalue())]).images
    assert sent.image is not None
    draw(tmp_path / "photos" / "late.png", 901)
    draw(tmp_path / "photos" / "imported.png", 902)
    index(two, tmp_path / "photos")
    with two.database.write() as connection:
        imported = "UPDATE image SET content_hash = NULL, uri = 'imported' WHERE uri LIKE '%imported.png'"
        assert connection.execute(text(imported)).rowcount == 1
    before = vectors(two, OLD)
    assert switch_model(two, NEW, allow_missing=True).lacking == 3
    for _ in range(2):
        report = examine(two, repair=True)
        (finding,) = (one for one in report.findings if one.code == "images_without_model")
        assert (finding.severity, len(finding.subjects), finding.repaired) == ("info", 3, False)
        assert f"clipsearch models add {NEW} -c default" in finding.message
        assert report.healthy
    assert set(vectors(two, OLD)) == set(before)
    found_by_itself(two, tmp_path / "photos" / "0001.png")
    done = add_model(two, NEW)
    assert (done.embedded, [one.code for one in done.failed]) == (2, ["no_file"])
    assert found_by_itself(two, tmp_path / "photos" / "late.png").endswith("late.png")
    assert found_by_itself(two, Path(path_of(sent.image.uri))) == sent.image.uri
    assert [one.name for one in list_models(two).models] == [NEW, OLD]
    assert two.collection().model_name == NEW


def test_a_repair_leaves_an_upload_and_what_has_no_file_in_the_collection(two: Library, tmp_path: Path) -> None:
    data = io.BytesIO()
    picture(900).save(data, "PNG")
    sent = [add_pictures(two, [NewPicture(name, data.getvalue())]).images[0].image for name in ("lost.png", "cut.png")]
    lost, cut = (one.id for one in sent if one is not None)
    with two.database.write() as connection:
        ids = {"lost": lost, "cut": cut}
        connection.execute(text("DELETE FROM embedding WHERE image_id IN (:lost, 1, 2)"), ids)
        connection.execute(text("UPDATE embedding SET vector = substr(vector, 1, 8) WHERE image_id IN (:cut, 3)"), ids)
        connection.execute(text("UPDATE image SET content_hash = NULL, uri = 'imported' WHERE id = 1"))
        connection.execute(text("UPDATE image SET content_hash = NULL, uri = 'also imported' WHERE id = 3"))
    report = examine(two, repair=True)
    told = {(one.code, one.repaired, tuple(one.subjects)) for one in report.findings if one.severity == "error"}
    uris = {one.id: one.uri for one in sent if one is not None}
    second = str(tmp_path / "photos" / "0001.png")
    assert told == {
        ("images_without_embedding", True, (second,)),
        ("images_without_embedding", False, (uris[lost],)),
        ("images_without_embedding", False, ("imported",)),
        ("damaged_embeddings", True, (uris[cut],)),
        ("damaged_embeddings", False, ("also imported",)),
    }
    with two.database.read() as connection:
        assert connection.execute(text("SELECT id FROM image WHERE gone = 1")).scalars().all() == [2]
        assert connection.execute(text("SELECT count(*) FROM embedding WHERE image_id = 3")).scalar_one() == 1
    assert add_model(two, OLD).embedded == 2
    assert found_by_itself(two, Path(path_of(uris[lost]))) in uris.values()
    found = search(two, Query(terms=(Term(image=Path(path_of(uris[cut]))),), k=100)).hits
    assert set(uris) <= {hit.image.id for hit in found}


def test_an_indexing_run_and_a_switch_do_not_cross(two: Library, tmp_path: Path) -> None:
    add_model(two, NEW)
    refused: list[ClipSearchError] = []

    def switch(_count: int) -> None:
        with pytest.raises(AlreadyRunning, match="indexing") as error:
            switch_model(two, NEW)
        refused.append(error.value)

    counting(two, OLD).before_encoding = switch
    draw(tmp_path / "photos" / "new.png", 801)
    index(two, tmp_path / "photos")
    assert len(refused) == 1
    assert two.collection().model_name == OLD


def test_nothing_is_saved_for_a_model_that_answers_no_more(two: Library) -> None:
    row = two.collection()
    add_model(two, NEW)
    with two.database.read() as connection:
        old = model_rows.find_model(connection, OLD)
    assert old is not None
    switch_model(two, NEW)
    late = NewImage(uri="/late.png", vector=unit_rows(1, 32)[0])
    with pytest.raises(ModelMismatch, match="switched meanwhile"), two.database.write() as connection:
        image_rows.save_images(connection, row.id, 99, old.id, [late])
    with two.database.read() as connection:
        assert collection_rows.count_images(connection, row.id) == PICTURES


def test_tags_of_the_model_of_before_do_not_hold_and_come_again_on_demand(two: Library) -> None:
    save_label_set(two, "things", draft_of([("dog", ()), ("cat", ())], ()))
    tag_collection(two, "things")
    add_model(two, NEW)
    assert switch_model(two, NEW).outdated_tags == ["things"]
    assert [one.why_stale for one in list_taggings(two)] == ["the collection has another model now"]
    (report,) = refresh_tags(two)
    assert report.problem is not None
    assert "clipsearch tags apply things" in report.problem
    assert tag_collection(two, "things").tagged == PICTURES
    assert [one.why_stale for one in list_taggings(two)] == [None]


def test_relevance_is_measured_by_the_model_that_answers(two: Library, tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 40, start=100)
    index(two, tmp_path / "photos")
    query = Query(terms=(Term(text="anything"),), k=5, relevance=True)
    first = search(two, query)
    add_model(two, NEW)
    switch_model(two, NEW)
    second = search(two, query)
    switch_model(two, OLD)
    third = search(two, query)
    told = [[hit.relevance for hit in answer.hits] for answer in (first, second, third)]
    assert told[0] == told[2] != told[1]
    with library_of_two(tmp_path / "data", database_url=two.settings.database_url) as fresh:
        switch_model(fresh, NEW)
        assert [hit.relevance for hit in search(fresh, query).hits] == told[1]


# Removing -------------------------------------------------------------------------------------------------


def test_a_model_is_removed_with_its_embeddings_of_this_collection(two: Library, tmp_path: Path) -> None:
    from clipsearch.indexing import index_source

    two.create_collection("other", OLD)
    index_source(two, tmp_path / "photos", collection="other")
    add_model(two, NEW)
    add_model(two, NEW, collection="other")
    removed = remove_model(two, NEW)
    assert (removed.model, removed.embeddings) == (NEW, PICTURES)
    assert list(states(two)) == [OLD]
    assert vectors(two, NEW) == {}
    assert [one.embedded for one in list_models(two, "other").models] == [PICTURES, PICTURES]
    assert add_model(two, NEW).taken_over == PICTURES
    assert examine(two).healthy


def test_a_model_is_not_removed_under_an_embedding(two: Library) -> None:
    def remove(done: int, _total: int, _failed: int) -> None:
        with pytest.raises(AlreadyRunning, match="cancel it first"):
            remove_model(two, NEW)
        assert [one.state for one in list_models(two).models if one.name == NEW] == ["embedding"]
        assert done <= PICTURES

    assert add_model(two, NEW, on_progress=remove).ready


# What is refused ------------------------------------------------------------------------------------------


def refusals(library: Library, folder: Path) -> list[tuple[Any, type[ClipSearchError], str]]:
    """Each thing that does not fit, the error that it gives, and words of its message."""
    gone = str(folder / "gone")
    return [
        (lambda: add_model(library, "nonsense"), ModelNotFound, "is not the name of a model"),
        (lambda: add_model(library, gone), ModelNotFound, "There is no open_clip_config.json"),
        (lambda: add_model(library, OLD), Conflict, "is the model that answers in the collection 'default' already"),
        (lambda: add_model(library, "/models/other"), ModelMismatch, "has 48 dimensions in this library, but 16 here"),
        (lambda: add_model(library, "/models/weights"), ModelMismatch, "the weights or the preprocessing of"),
        (lambda: add_model(library, NEW, collection="none"), CollectionNotFound, "there is no collection 'none'"),
        (lambda: switch_model(library, "nonsense"), ModelNotFound, "is not the name of a model"),
        (lambda: switch_model(library, OLD), Conflict, f"{OLD} answers in the collection 'default' already"),
        (lambda: switch_model(library, gone), Conflict, "is no model of the collection 'default'; to embed its images"),
        (lambda: switch_model(library, NEW), Conflict, f"run: clipsearch models add {NEW} -c default"),
        (lambda: switch_model(library, "/models/left"), ModelNotFound, "There is no open_clip_config.json"),
        (lambda: switch_model(library, "/models/changed"), ModelMismatch, "bring the old weights back"),
        (lambda: switch_model(library, "/models/empty", allow_missing=True), Conflict, "20 of the 20 images"),
        (lambda: remove_model(library, OLD), Conflict, "switch to another one first"),
        (lambda: remove_model(library, "/models/never"), Conflict, "is no model of the collection"),
        (lambda: missing_images(library, "/models/never"), ModelNotFound, "is no model of the collection"),
    ]


def test_each_thing_that_does_not_fit_has_an_error_of_its_own(two: Library, tmp_path: Path) -> None:
    from switching_fixtures import WordEncoder

    def known(name: str, dimension: int, seed: int) -> None:
        two._encoders[name] = WordEncoder(name, dimension, seed)

    for name in ("/models/other", "/models/weights", "/models/left", "/models/changed", "/models/empty"):
        known(name, 48, 5)
        add_model(two, name)
    known("/models/other", 16, 5)
    known("/models/weights", 48, 6)
    known("/models/changed", 48, 6)
    del two._encoders["/models/left"]
    for name in ("/models/other", "/models/weights"):
        remove_model(two, name)
    with two.database.write() as connection:
        empty = model_rows.find_model(connection, "/models/empty")
        assert empty is not None
        connection.execute(text("DELETE FROM embedding WHERE model_id = :id"), {"id": empty.id})
    before = two.collection()
    messages = []
    for place, (call, error, words) in enumerate(refusals(two, tmp_path)):
        with pytest.raises(error) as refused:
            call()
        assert words in refused.value.message, place
        messages.append(refused.value.message)
    assert len(set(messages)) >= 12
    assert two.collection() == before
    assert found_by_itself(two, tmp_path / "photos" / "0001.png").endswith("0001.png")


def test_a_model_that_cannot_be_had_is_not_written_down(two: Library, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        add_model(two, str(tmp_path / "gone"))
    assert list(states(two)) == [OLD]
    assert following.list_runs(two)[0].state == "failed"


def test_an_embedding_is_given_up_when_the_collection_is_switched_to_its_model(two: Library, tmp_path: Path) -> None:
    add_model(two, NEW)
    draw_many(tmp_path / "photos", 20, start=300)
    index(two, tmp_path / "photos")

    def switch(done: int, _total: int, _failed: int) -> None:
        if done == PICTURES + 8:
            switch_model(two, NEW, allow_missing=True)

    with pytest.raises(Conflict, match="was switched to it"):
        add_model(two, NEW, on_progress=switch)
    assert following.list_runs(two)[0].state == "failed"


def test_a_page_of_lacking_images_ends_nowhere_early(two: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_module, "PAGE", 3)
    assert add_model(two, NEW).ready
    found: list[CollectionModel] = list_models(two).models
    assert found[1].embedded == PICTURES


def test_a_server_whose_collection_was_switched_elsewhere_is_ready_when_it_has_the_model(
    two: Library, tmp_path: Path, database_url: str
) -> None:
    from clipsearch.web.readiness import Watch

    add_model(two, NEW)
    watch = Watch(two)
    watch.start()
    wait_until(lambda: watch.state().ready)
    encoder = two._encoders.pop(NEW)
    with library_of_two(tmp_path / "elsewhere", database_url=database_url) as other:
        switch_model(other, NEW)
    assert watch.state().ready is False
    wait_until(lambda: "open_clip_config.json" in watch.state().model)  # it was tried, and there is no such folder
    two._encoders[NEW] = encoder
    wait_until(lambda: watch.state().ready)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
