"""Pictures that come with a request: kept as files, embedded, noted at once; and what happens to them later."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_fixtures import CountingEncoder, draw, draw_many, index, picture
from numpy.typing import NDArray

from clipsearch.adding import NewPicture, add_pictures
from clipsearch.answers import ImageInfo
from clipsearch.browsing import list_images, original, remove_images, show_image, thumbnail
from clipsearch.database import images
from clipsearch.database.collections import CollectionRow
from clipsearch.database.leases import Lease
from clipsearch.errors import (
    Busy,
    CollectionNotFound,
    FetchFailed,
    ImageNotFound,
    InvalidVector,
    NotAllowed,
    StorageFull,
)
from clipsearch.examining import examine
from clipsearch.following import list_failures
from clipsearch.images import content_hash, kept_uploads, path_of, safe_name, upload_path
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search


def png(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def new(seed: int, name: str = "", **parts: object) -> NewPicture:
    return NewPicture(name or f"{seed}.png", png(seed), **parts)  # type: ignore[arg-type]


def add(library: Library, *pictures: NewPicture, **options: object) -> list[tuple[str, str, ImageInfo | None]]:
    """Name, outcome and image of each."""
    answer = add_pictures(library, pictures, make_collection=True, **options)  # type: ignore[arg-type]
    return [(one.name, one.outcome, one.image) for one in answer.images]


def added(library: Library, *pictures: NewPicture) -> list[ImageInfo]:
    """The images, all of which came."""
    found = [image for _, _, image in add(library, *pictures)]
    return [image for image in found if image is not None]


def kept(library: Library) -> list[Path]:
    return sorted(kept_uploads(library.settings.data_dir))


def test_added_pictures_are_kept_listed_found_and_shown(any_library: Library) -> None:
    library = any_library
    first, second = added(library, new(1, "one.png"), new(2, "two.png"))
    assert list_images(library) == [first, second]
    digest = content_hash(png(1))
    path = Path(path_of(first.uri))
    row = library.collection()
    assert path == library.settings.data_dir / "uploads" / str(row.id) / digest[:2] / digest[:16] / "one.png"
    assert path.read_bytes() == png(1)
    assert (first.content_hash, first.size, first.width, first.height, first.format) == (
        digest, len(png(1)), 24, 20, "PNG"
    )  # fmt: skip
    assert first.taken_at == first.modified_at is not None
    hits = search(library, Query(terms=(Term(image=png(2)),), k=1)).hits
    assert [hit.image.id for hit in hits] == [second.id]
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    assert original(library, first.id)[0] == png(1)
    assert thumbnail(library, first.id).startswith(b"\xff\xd8")


def test_a_collection_that_is_not_there_is_made_only_where_that_is_wanted(library: Library) -> None:
    with pytest.raises(CollectionNotFound):
        add_pictures(library, [new(1)])
    assert not kept(library)
    add_pictures(library, [new(1)], make_collection=True)
    assert len(list_images(library)) == 1


def test_the_same_content_under_the_same_name_is_unchanged(library: Library, encoder: CountingEncoder) -> None:
    (first,) = added(library, new(1))
    assert add(library, new(1), new(2)) == [
        ("1.png", "unchanged", first),
        ("2.png", "added", show_image(library, first.id + 1)),
    ]
    assert show_image(library, first.id).revision == 1
    assert encoder.images == 2
    assert add(library, new(1)) == [("1.png", "unchanged", first)]
    assert library.collection().revision == 2


def test_the_same_content_under_another_name_is_an_image_of_its_own_and_not_encoded_again(
    library: Library, encoder: CountingEncoder
) -> None:
    first, second = added(library, new(1, "a.png"), new(1, "b.png"))
    assert first.content_hash == second.content_hash
    assert first.id != second.id
    assert encoder.images == encoder.prepared == 1
    assert [path.name for path in kept(library)] == ["a.png", "b.png"]


def test_the_same_picture_twice_in_one_request_is_one_image(library: Library) -> None:
    (_, _, first), (_, _, second) = add(library, new(1), new(1))
    assert first == second
    assert len(kept(library)) == 1


def test_content_that_was_indexed_is_not_encoded_again(
    library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    draw(photos / "a.png", 1)
    index(library, photos)
    (image,) = added(library, NewPicture("b.png", (photos / "a.png").read_bytes()))
    assert encoder.images == 1
    assert (image.width, image.height, image.format) == (24, 20, "PNG")


def test_a_bad_picture_costs_itself_and_leaves_nothing_behind(library: Library) -> None:
    bad = [NewPicture("bad.jpg", b"not an image"), NewPicture("empty.png", b""), NewPicture("cut.png", png(3)[:60])]
    away = NewPicture("away.png", error=FetchFailed("photos.example answered with 404"))
    answer = add_pictures(library, [*bad[:2], new(1), bad[2], away], make_collection=True)
    assert [one.outcome for one in answer.images] == ["failed", "failed", "added", "failed", "failed"]
    codes = [one.error.code for one in answer.images if one.error]
    assert codes == ["unsupported_format", "unreadable_image", "unreadable_image", "fetch_failed"]
    assert len(kept(library)) == 1
    assert list_failures(library) == []  # it was answered to the sender, and its file is not kept: nobody can try again


def test_a_collection_that_was_made_for_pictures_goes_again_where_none_was_added(
    any_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, bad = any_library, NewPicture("bad.jpg", b"not an image")
    add_pictures(library, [bad], make_collection=True)
    with pytest.raises(CollectionNotFound):
        library.collection()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("clipsearch.adding.add.keep_upload", full)
        with pytest.raises(StorageFull):
            add_pictures(library, [new(1)], make_collection=True)
    with pytest.raises(CollectionNotFound):
        library.collection()
    library.ensure_collection()
    add_pictures(library, [bad], make_collection=True)
    assert library.collection().revision == 0  # somebody else made it


def test_pictures_find_a_collection_that_was_taken_back_while_they_waited(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.ensure_collection()
    real = library.lease

    def too_late(row: CollectionRow, purpose: str, **waiting: float) -> AbstractContextManager[Lease]:
        monkeypatch.undo()
        library.delete_collection(row.name)
        return real(row, purpose, **waiting)

    monkeypatch.setattr(library, "lease", too_late)
    assert [outcome for _, outcome, _ in add(library, new(1))] == ["added"]
    assert len(list_images(library)) == len(kept(library)) == 1


def test_a_picture_that_the_model_makes_nothing_of_fails_alone(library: Library, encoder: CountingEncoder) -> None:
    def spoil(count: int) -> None:
        if count == 3:
            raise InvalidVector("zero", positions=[1])

    encoder.before_encoding = spoil
    answer = add_pictures(library, [new(1), new(2), new(3)], make_collection=True)
    assert [one.outcome for one in answer.images] == ["added", "failed", "added"]
    assert answer.images[1].error is not None
    assert answer.images[1].error.code == "no_embedding"
    found = search(library, Query(terms=(Term(image=png(3)),), k=1)).hits[0]
    assert found.score == pytest.approx(1, abs=1e-3)


def test_a_picture_whose_attributes_become_too_many_costs_itself_only(library: Library) -> None:
    full = {f"name {number}": number for number in range(64)}
    added(library, new(1, attributes=full))
    one_more = {"one": "more"}
    answer = add_pictures(library, [new(1, attributes=one_more), new(2, attributes=one_more), new(3, attributes=full),
                                    new(3, attributes=one_more)])  # fmt: skip
    assert [(one.name, one.outcome) for one in answer.images] == [
        ("1.png", "failed"), ("2.png", "added"), ("3.png", "added"), ("3.png", "failed"),
    ]  # fmt: skip
    said = {(one.error.code, one.error.reason) for one in answer.images if one.error is not None}
    assert said == {("invalid_input", "an image may have 64 attributes at most")}
    assert [image.attributes for image in list_images(library)] == [full, one_more, full]
    assert list_failures(library) == []


def test_attributes_come_with_a_picture_and_join_those_that_are_there(library: Library) -> None:
    (image,) = added(library, new(1, attributes={"camera": "X100", "tags": ["a", "b"], "rating": 3}))
    assert image.attributes == {"camera": "X100", "tags": ["a", "b"], "rating": 3}
    ((_, outcome, again),) = add(library, new(1, attributes={"rating": 5, "camera": None}))
    assert outcome == "unchanged"
    assert again is not None
    assert again.attributes == {"tags": ["a", "b"], "rating": 5}


def test_indexing_a_folder_leaves_uploads_alone(library: Library, photos: Path) -> None:
    draw_many(photos, 2)
    (image,) = added(library, new(7))
    index(library, photos)
    index(library, photos, allow_empty=True)
    top = library.settings.data_dir.parent  # which holds the uploads as well
    report = index(library, top)
    assert report.removed == []
    assert image.uri in report.unchanged
    assert show_image(library, image.id).id == image.id
    assert len(kept(library)) == 1


def test_taking_an_image_out_deletes_its_upload_and_nothing_else(library: Library, photos: Path) -> None:
    draw(photos / "a.png", 5)
    index(library, photos)
    one, two = added(library, new(1, attributes={"rating": 1}), new(2))
    (indexed,) = [image for image in list_images(library) if image.uri == str(photos / "a.png")]
    remove_images(library, [one.id, indexed.id, one.id])
    assert [path.name for path in kept(library)] == ["2.png"]
    assert (photos / "a.png").exists()
    assert not Path(path_of(one.uri)).parent.exists()
    (back,) = added(library, new(1))
    assert back.id == one.id
    assert back.attributes == {}
    assert [image.id for image in list_images(library)] == [one.id, two.id]


def test_deleting_a_collection_deletes_its_uploads(library: Library) -> None:
    added(library, new(1))
    add_pictures(library, [new(1)], collection="other", make_collection=True)
    library.delete_collection("other")
    assert len(kept(library)) == 1
    library.delete_collection("default")
    assert not kept(library)


def test_an_upload_that_was_changed_or_lost_is_not_served_and_comes_back_when_it_is_sent_again(
    library: Library,
) -> None:
    (image,) = added(library, new(1))
    path = Path(path_of(image.uri))
    path.write_bytes(png(2))
    with pytest.raises(ImageNotFound):
        original(library, image.id)
    path.unlink()
    ((_, outcome, _),) = add(library, new(1))
    assert outcome == "added"
    assert original(library, image.id)[0] == png(1)


def test_a_link_among_the_uploads_leads_nowhere(library: Library, tmp_path: Path) -> None:
    (image,) = added(library, new(1))
    path, outside = Path(path_of(image.uri)), tmp_path / "outside.png"
    outside.write_bytes(png(1))
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(NotAllowed):
        original(library, image.id)


def test_a_collection_in_other_hands_is_waited_for(library: Library) -> None:
    row, _ = library.ensure_collection()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with library.lease(row, "a long work"):
            held.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    started = time.monotonic()
    with pytest.raises(Busy, match="a long work") as caught:
        add_pictures(library, [new(1)], wait_seconds=0.3)
    assert 0.2 < time.monotonic() - started < 3
    assert caught.value.retry_after >= 1
    assert not kept(library)
    threading.Timer(0.4, done.set).start()
    assert add_pictures(library, [new(1)]).images[0].outcome == "added"
    holder.join()


def test_many_who_add_at_once_take_turns(library: Library) -> None:
    library.ensure_collection()
    errors: list[Exception] = []

    def work(start: int) -> None:
        try:
            for seed in range(start, start + 3):
                add_pictures(library, [new(seed)])
        except Exception as error:  # noqa: BLE001  (told below)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(10 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(list_images(library)) == len(kept(library)) == 12


def test_nothing_is_left_where_the_disk_is_full(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    added(library, new(9))
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="No space left"):
        add_pictures(library, [new(1), new(2)])
    monkeypatch.undo()
    assert [path.name for path in kept(library)] == ["9.png"]
    assert len(list_images(library)) == 1


def test_a_file_is_safe_on_disk_before_it_is_spoken_of(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.ensure_collection()
    steps: list[str] = []

    def noted(step: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            steps.append(step)
            return real(*arguments)

        return act

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("rename", Path.replace))
    monkeypatch.setattr(images, "save_images", noted("row", images.save_images))
    add_pictures(library, [new(1)])
    assert steps[0] == "fsync"
    assert steps[1] == "rename"
    assert set(steps[2:-1]) == {"fsync"}
    assert steps[-1] == "row"


def test_the_doctor_finds_files_that_nobody_speaks_of(library: Library) -> None:
    (image,) = added(library, new(1))
    top = library.settings.data_dir / "uploads"
    orphans = [top / "1" / "ab" / "cd" / "a.png", top / "1" / "ab" / "cd" / ".part-1", top / "99" / "x" / "y" / "z.png"]
    for path in orphans:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert "orphaned_uploads" not in [one.code for one in examine(library).findings]  # someone may be at it
    for path in [*orphans, Path(path_of(image.uri))]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (found,) = [one for one in examine(library).findings if one.code == "orphaned_uploads"]
    assert sorted(found.subjects) == sorted(map(str, orphans))
    assert examine(library, repair=True).healthy
    assert len(kept(library)) == 4, "after a restored backup they may be all that is left"


def test_no_name_leads_out_of_the_folder_of_uploads(library: Library, tmp_path: Path) -> None:
    steps = [
        "..",
        "....",
        "%2e%2e",
        "..%2f",
        "..\\",
        "/",
        "//",
        "~",
        "C:",
        "\\\\host\\share",
        ".\u2215..",
        "\uff0e\uff0e",
        "\x00",
    ]
    names = [f"{one}{apart}{rest}" for one in steps for apart in ("", "/", "\\", "/../", "\x00/")
             for rest in ("etc/passwd", "../../clipsearch.db", "a.png")]  # fmt: skip
    before = sorted(str(path) for path in tmp_path.rglob("*") if "uploads" not in path.parts)
    for start in range(0, len(names), 30):
        add(library, *(new(1, name) for name in names[start : start + 30]))
    uploads = (library.settings.data_dir / "uploads" / str(library.collection().id)).resolve()
    for image in list_images(library, limit=1_000):
        path = Path(path_of(image.uri))
        assert path.resolve().parent.parent.parent == uploads
        assert path.read_bytes() == png(1)
    assert sorted(str(path) for path in tmp_path.rglob("*") if "uploads" not in path.parts) == before


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.png", "a.png"), ("../../etc/passwd", "passwd"), ("..", "image"), (".", "image"), ("", "image"),
        ("/", "image"),
        ("C:\\photos\\a.png", "a.png"), (".htaccess", "_htaccess"), ("a\x00b\n.png", "a_b_.png"),
        ("  a.png  ", "a.png"),
        ("a/../b.png", "b.png"), ("\ud800.png", "_.png"), ("Ärger 🐈.jpg", "Ärger 🐈.jpg"), ("A\u0308.png", "Ä.png"),
        ("a:b|c?.png", "a_b_c_.png"), ("con.", "con"), ("\u202egnp.exe", "_gnp.exe"),
    ],
)  # fmt: skip
def test_a_name_is_made_fit_for_a_file(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_keeps_its_suffix_and_fits(library: Library) -> None:
    for name in ("x" * 1_000 + ".jpeg", "🐈" * 300 + ".png", "a." + "b" * 500, "." * 999):
        short = safe_name(name)
        assert 0 < len(short.encode()) <= 200
        (image,) = added(library, new(1, name))
        assert Path(path_of(image.uri)).name == short
    assert safe_name("x" * 1_000 + ".jpeg").endswith(".jpeg")


def test_another_content_is_never_put_in_the_place_of_one_that_is_there(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if two contents were found whose hashes begin alike.
    monkeypatch.setattr(
        "clipsearch.adding.add.upload_path", lambda top, number, _hash, name: upload_path(top, number, "0" * 64, name)
    )
    (image,) = added(library, new(1, "a.png"))
    answer = add_pictures(library, [new(2, "a.png"), new(3, "b.png")])
    assert [one.outcome for one in answer.images] == ["failed", "added"]
    assert answer.images[0].error is not None
    assert answer.images[0].error.code == "already_exists"
    assert original(library, image.id)[0] == png(1)


def test_the_same_bytes_give_the_same_embedding_by_either_way(library: Library, photos: Path) -> None:
    draw(photos / "a.png", 4)
    add_pictures(
        library, [NewPicture("b.png", (photos / "a.png").read_bytes())], collection="two", make_collection=True
    )
    index(library, photos)
    one, two = (vector_of(library, name) for name in ("two", "default"))
    assert np.array_equal(one, two)


def vector_of(library: Library, collection: str) -> NDArray[np.float32]:
    (image,) = list_images(library, collection=collection)
    view = library.index(library.collection(collection))
    assert view is not None
    return view.index.vectors(np.array([image.id]))


def test_a_collection_that_is_deleted_meanwhile_gets_nothing(
    any_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = any_library
    library.ensure_collection()
    real = library.lease

    def too_late(row: CollectionRow, purpose: str, **waiting: float) -> AbstractContextManager[Lease]:
        monkeypatch.undo()
        library.delete_collection(row.name)
        return real(row, purpose, **waiting)

    monkeypatch.setattr(library, "lease", too_late)
    with pytest.raises(CollectionNotFound):
        add_pictures(library, [new(1)])
    assert not kept(library)
