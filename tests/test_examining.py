"""The doctor: every damage that was done is found, none is imagined, and only what is asked for is changed."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from library_fixtures import CountingEncoder, draw, draw_many, groups, index, library_with, unit_rows

from clipsearch.database.collections import CollectionRow
from clipsearch.database.leases import Lease
from clipsearch.errors import AlreadyRunning, LeaseLost
from clipsearch.examining import examine
from clipsearch.importing import import_embeddings
from clipsearch.inspecting import show_collection
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search


def execute(library: Library, statement: str, *values: object) -> None:
    with library.database.write() as connection:
        connection.exec_driver_sql(statement, values)


def lose_embedding(library: Library, _photos: Path) -> None:
    execute(library, "DELETE FROM embedding WHERE image_id = 3")


def cut_embedding(library: Library, _photos: Path) -> None:
    execute(library, "UPDATE embedding SET vector = substr(vector, 1, 40) WHERE image_id = 3")


def zero_embedding(library: Library, _photos: Path) -> None:
    execute(library, "UPDATE embedding SET vector = zeroblob(48) WHERE image_id = 3")


def not_a_number(library: Library, _photos: Path) -> None:
    execute(library, "UPDATE embedding SET vector = ? WHERE image_id = 3", np.full(24, np.nan, "<f2").tobytes())


def double_length(library: Library, _photos: Path) -> None:
    execute(library, "UPDATE embedding SET vector = ? WHERE image_id = 3", np.full(24, 0.5, "<f2").tobytes())


def remove_file(_library: Library, photos: Path) -> None:
    (photos / "0002.png").unlink()


def change_file(_library: Library, photos: Path) -> None:
    draw(photos / "0002.png", seed=99)


def other_vector(library: Library, _photos: Path) -> None:
    """In the database only: the index that is open knows nothing of it."""
    execute(
        library, "UPDATE embedding SET vector = (SELECT vector FROM embedding WHERE image_id = 7) WHERE image_id = 3"
    )


def lost_row(library: Library, _photos: Path) -> None:
    execute(library, "UPDATE image SET gone = 1 WHERE id = 3")


DAMAGES: list[tuple[Callable[[Library, Path], None], str]] = [
    (lose_embedding, "images_without_embedding"),
    (cut_embedding, "damaged_embeddings"),
    (zero_embedding, "damaged_embeddings"),
    (not_a_number, "damaged_embeddings"),
    (double_length, "damaged_embeddings"),
    (remove_file, "missing_files"),
    (change_file, "changed_files"),
    (other_vector, "index_differs"),
    (lost_row, "index_differs"),
]


@pytest.fixture
def sound(library: Library, photos: Path) -> Library:
    draw_many(photos, 12)
    (photos / "damaged.png").write_bytes(b"no picture")
    index(library, photos)
    search(library, Query(terms=(Term(image_id=1),)))
    return library


def found(library: Library, *, repair: bool = False) -> set[str]:
    return {one.code for one in examine(library, repair=repair).findings if one.severity != "info"}


def test_a_sound_library_raises_no_alarm(sound: Library, photos: Path) -> None:
    report = examine(sound)
    assert report.healthy
    assert {one.code for one in report.findings} <= {"sqlite_version"}
    assert report.checked == {"collections": 1, "images": 12, "files_hashed": 12}
    draw(photos / "new.png", seed=50)
    (photos / "0001.png").unlink()
    index(sound, photos)
    assert found(sound) == set()


def test_an_empty_library_raises_no_alarm(library: Library) -> None:
    assert examine(library).healthy
    library.create_collection("default", "demo")
    assert examine(library).healthy


@pytest.mark.parametrize(("damage", "code"), DAMAGES)
def test_damage_is_found_named_and_left_alone(
    sound: Library, photos: Path, damage: Callable[[Library, Path], None], code: str
) -> None:
    damage(sound, photos)
    before = show_collection(sound, with_index=False)
    report = examine(sound)
    assert not report.healthy
    finding = next(one for one in report.findings if one.code == code)
    assert finding.subjects in ([str(photos / "0002.png")], ["3"])
    assert not finding.repaired
    assert show_collection(sound, with_index=False) == before
    assert found(sound) == found(sound)


@pytest.mark.parametrize(("damage", "code"), DAMAGES)
def test_repair_brings_back_what_can_be_and_an_index_run_the_rest(
    sound: Library, photos: Path, damage: Callable[[Library, Path], None], code: str
) -> None:
    damage(sound, photos)
    report = examine(sound, repair=True)
    assert next(one for one in report.findings if one.code == code).repaired == (code != "changed_files")
    index(sound, photos)
    assert found(sound) == set()
    wanted = 11 if damage in (remove_file, lost_row) else 12
    hits = search(sound, Query(terms=(Term(vector=(1.0,) * 24),), k=100)).hits
    assert len(hits) == (12 if damage is lost_row else wanted)


def test_damage_in_an_open_index_is_found(sound: Library) -> None:
    """An index that lost a row, as by a fault of memory: the rows win."""
    held = sound._indexes._held(sound.collection())
    assert held.view is not None
    smaller = held.view.index.with_changes(removed=np.array([5], dtype=np.int64))
    held.view = type(held.view)(smaller, held.view.model, held.view.revision, held.view.token, held.view.revision)
    assert found(sound) == {"index_differs"}
    assert found(sound, repair=True) == {"index_differs"}
    assert found(sound) == set()


def test_a_damaged_snapshot_is_not_believed(
    sound: Library, tmp_path: Path, encoder: CountingEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    sound.rebuild_index(sound.collection())
    sound.close()
    snapshot = next((tmp_path / "data" / "indexes").rglob("*.vectors"))
    content = bytearray(snapshot.read_bytes())
    content[-100] ^= 1
    snapshot.write_bytes(content)
    with library_with(encoder, tmp_path / "data") as library, caplog.at_level(logging.WARNING):
        assert found(library) == set()
        assert show_collection(library).images == 12
    assert "checksum is wrong" in caplog.text


def test_a_damaged_database_file_is_found_or_refused(sound: Library, tmp_path: Path, encoder: CountingEncoder) -> None:
    sound.close()
    path = tmp_path / "data" / "clipsearch.db"
    content = bytearray(path.read_bytes())
    page = 16_384
    for number in range(4, len(content) // page):
        content[number * page : number * page + 64] = b"\x55" * 64
    path.write_bytes(content)
    with library_with(encoder, tmp_path / "data") as library:
        try:
            codes = found(library)
        except Exception as error:  # noqa: BLE001  the point is which
            codes = {type(error).__name__}
    assert codes & {"database_damaged", "ConfigError"}


def test_nothing_is_repaired_while_another_is_indexing(sound: Library, photos: Path) -> None:
    remove_file(sound, photos)
    with sound.lease(sound.collection(), "indexing /photos"), pytest.raises(AlreadyRunning, match="indexing /photos"):
        examine(sound, repair=True)
    assert found(sound, repair=True) == {"missing_files"}
    assert found(sound) == set()


def test_what_the_doctor_sends_to_be_indexed_again_is_indexed_again(sound: Library, photos: Path) -> None:
    cut_embedding(sound, photos)
    examine(sound, repair=True)
    report = index(sound, photos)
    assert groups(report)["added"] == ["0002.png"]
    assert report.encoded == 1


def test_embeddings_that_were_imported_under_the_names_of_files_are_not_missing(
    library: Library, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", unit_rows(2, 24))
    (tmp_path / "names.json").write_text(json.dumps(["/another/machine/a.png", f"/{'x' * 300}/b.png"]))
    import_embeddings(library, tmp_path / "rows.npy", tmp_path / "names.json", model="a/b", logit_scale=100.0)
    for repair in (False, True):
        assert found(library, repair=repair) == set()
    assert show_collection(library, with_index=False).images == 2


def test_files_that_cannot_be_looked_at_are_told_and_never_repaired(sound: Library, photos: Path) -> None:
    path = photos / "0002.png"
    path.unlink()
    path.symlink_to(path.name)  # a circle: the system refuses to look, as it does for a folder that is closed
    report = examine(sound, repair=True)
    (finding,) = (one for one in report.findings if one.code == "unseen_files")
    assert (finding.subjects, finding.repaired, report.healthy) == ([str(path)], False, False)
    assert found(sound) == {"unseen_files"}
    assert show_collection(sound, with_index=False).images == 12


def test_a_source_of_which_nothing_is_there_is_never_repaired_away(sound: Library, photos: Path) -> None:
    stick = photos.parent / "usb stick"
    draw_many(stick, 3, start=50)
    index(sound, stick)
    stick.rename(photos.parent / "unplugged")
    remove_file(sound, photos)
    report = examine(sound, repair=True)
    lost, missing = (one for one in report.findings if one.code == "missing_files")
    assert (lost.repaired, missing.repaired, report.healthy) == (False, True, False)
    assert lost.subjects == [str(stick / f"{seed:04}.png") for seed in (50, 51, 52)]
    assert missing.subjects == [str(photos / "0002.png")]
    assert f"clipsearch index '{stick}' --allow-empty -c default" in lost.message
    assert show_collection(sound, with_index=False).images == 14
    assert found(sound, repair=True) == {"missing_files"}
    (photos.parent / "unplugged").rename(stick)
    assert found(sound) == set()
    shutil.rmtree(stick)
    index(sound, stick, allow_empty=True)
    assert found(sound) == set()


def test_repair_leaves_alone_what_came_back_or_was_indexed_again_in_between(
    sound: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0002.png", "0003.png", "0004.png"):
        (photos / name).unlink()
    execute(sound, "DELETE FROM embedding WHERE image_id = 7")
    real = sound.lease

    @contextmanager
    def after_others(collection: CollectionRow, purpose: str) -> Iterator[Lease]:
        draw(photos / "0002.png", seed=2)
        execute(sound, "UPDATE image SET revision = revision + 1 WHERE id IN (4, 7)")
        with real(collection, purpose) as lease:
            yield lease

    monkeypatch.setattr(sound, "lease", after_others)
    examine(sound, repair=True)
    with sound.database.read() as connection:
        gone = connection.exec_driver_sql("SELECT id FROM image WHERE gone = 1").scalars().all()
    assert gone == [5]


def test_a_repair_that_lost_its_lease_changes_nothing(
    sound: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_file(sound, photos)
    real = sound.lease

    @contextmanager
    def lost(collection: CollectionRow, purpose: str) -> Iterator[Lease]:
        with real(collection, purpose) as lease:
            execute(sound, "UPDATE lease SET token = 'another''s'")
            yield lease

    monkeypatch.setattr(sound, "lease", lost)
    with pytest.raises(LeaseLost):
        examine(sound, repair=True)
    assert show_collection(sound, with_index=False).images == 12
