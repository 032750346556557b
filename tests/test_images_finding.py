"""What is found under a folder, in which order, and how a path becomes a uri and comes back."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_fixtures import RED, encoded, flat, one_file_of_each_format

from clipsearch.errors import InvalidInput, SourceNotFound, TooLarge, UnreadableImage
from clipsearch.images import (
    FoundFile,
    absolute,
    content_hash,
    find_images,
    path_of,
    presence,
    read_and_hash,
    read_file,
    uri_of,
)
from clipsearch.images.signatures import PREFIX_BYTES, READ_HERE, sniff


def planted(root: Path, *names: str, data: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def names(root: Path, *, follow_symlinks: bool = False) -> list[str]:
    return [os.path.relpath(found.path, root) for found in find_images(root, follow_symlinks=follow_symlinks)]


def test_files_come_depth_first_in_the_order_of_their_names_bytes(tmp_path: Path) -> None:
    planted(tmp_path, "b.jpg", "a/z.png", "a/b/c.gif", "B.JPG", "c/1.webp", "ä.jpg", "a.jpg", "10.jpg", "9.jpg")
    order = ["10.jpg", "9.jpg", "B.JPG", "a/b/c.gif", "a/z.png", "a.jpg", "b.jpg", "c/1.webp", "ä.jpg"]
    assert names(tmp_path) == order
    assert names(tmp_path) == order


def test_a_found_file_has_its_absolute_path_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, "holiday/boat.jpg", data=b"12345")
    monkeypatch.chdir(tmp_path)
    boat = tmp_path / "holiday" / "boat.jpg"
    os.utime(boat, ns=(5, 1_700_000_000_123_456_789))
    assert list(find_images(Path("holiday"))) == [FoundFile(str(boat), str(boat), 5, 1_700_000_000_123_456_789)]


def test_a_file_counts_by_its_suffix_whatever_its_case_and_content(tmp_path: Path) -> None:
    planted(tmp_path, "a.JPEG", "b.Tiff", "c.heic", "d.NEF", "e.jp2", "f.txt", "g.pdf", "h.db", "i.svg", "j.mp4")
    planted(tmp_path, "empty.png", data=b"")
    assert names(tmp_path) == ["a.JPEG", "b.Tiff", "c.heic", "d.NEF", "e.jp2", "empty.png"]


def test_a_file_without_suffix_counts_by_its_first_bytes(tmp_path: Path) -> None:
    planted(tmp_path, "picture", data=encoded(flat("RGB", RED), "JPEG"))
    planted(tmp_path, "picture.bak", data=encoded(flat("RGB", RED), "JPEG"))
    planted(tmp_path, "Makefile", "BM", data=b"BM: not a bitmap\n")
    planted(tmp_path, "document", data=b"%PDF-1.7")
    planted(tmp_path, "nothing", data=b"")
    assert names(tmp_path) == ["picture"]


def test_hidden_names_and_other_programs_folders_are_skipped(tmp_path: Path) -> None:
    planted(tmp_path, ".hidden.jpg", "._a.jpg", ".thumbnails/a.jpg", "@eaDir/a.jpg", "__MACOSX/a.jpg", "a.jpg")
    assert names(tmp_path) == ["a.jpg"]
    assert names(tmp_path / ".thumbnails") == ["a.jpg"], "a folder named by the user is searched"


def test_a_single_file_counts_whatever_its_name(tmp_path: Path) -> None:
    planted(tmp_path, ".scan.backup", data=b"123")
    assert [(found.path, found.size) for found in find_images(tmp_path / ".scan.backup")] == [
        (str(tmp_path / ".scan.backup"), 3)
    ]


def test_a_source_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    for missing in (tmp_path / "nope", tmp_path / "a\0b"):
        with pytest.raises(SourceNotFound):
            find_images(missing)
    with pytest.raises(SourceNotFound, match="neither a folder nor a file"):
        find_images("/dev/null")


def test_pipes_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == []


def test_links_are_skipped_unless_wanted(tmp_path: Path) -> None:
    planted(tmp_path, "in/a.jpg", "out/b.jpg", "out/deep/c.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "out/b.jpg")
    (tmp_path / "in/0linked").symlink_to(tmp_path / "out")
    assert names(tmp_path / "in") == ["a.jpg"]
    assert names(tmp_path / "in", follow_symlinks=True) == [
        "a.jpg",
        "link.jpg",
        "0linked/b.jpg",
        "0linked/deep/c.jpg",
    ]
    (tmp_path / "door").symlink_to(tmp_path / "in")
    assert names(tmp_path / "door") == ["a.jpg"], "a link named by the user is followed"


def test_loops_of_links_end_and_each_folder_is_entered_once(tmp_path: Path) -> None:
    for folder in "abcdefgh":
        planted(tmp_path, f"{folder}/{folder}.jpg")
    for folder in "abcdefgh":
        for other in "abcdefgh":
            (tmp_path / folder / f"to_{other}").symlink_to(tmp_path / other)
        (tmp_path / folder / "up").symlink_to(tmp_path)
    assert names(tmp_path, follow_symlinks=True) == [f"{folder}/{folder}.jpg" for folder in "abcdefgh"]


def test_what_cannot_be_looked_at_is_told_and_the_search_goes_on(tmp_path: Path) -> None:
    planted(tmp_path, "a/1.jpg", "z.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    failures: list[tuple[str, str]] = []
    found = find_images(tmp_path, follow_symlinks=True, on_error=lambda path, reason: failures.append((path, reason)))
    assert [Path(file.path).name for file in found] == ["1.jpg", "z.jpg"]
    assert failures == [(str(tmp_path / "gone.jpg"), "No such file or directory")]


def test_a_folder_that_cannot_be_opened_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planted(tmp_path, "a/1.jpg", "locked/2.jpg", "z.jpg")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", guarded)  # the tests may run as root, who may open everything
    failures: list[tuple[str, str]] = []
    found = find_images(tmp_path, on_error=lambda path, reason: failures.append((path, reason)))
    assert [Path(file.path).name for file in found] == ["1.jpg", "z.jpg"]
    assert failures == [(str(tmp_path / "locked"), "Permission denied")]
    with caplog.at_level(logging.WARNING):
        list(find_images(tmp_path))
    assert "Permission denied" in caplog.text, "without a listener it is logged, not swallowed"


def test_searching_a_folder_needs_neither_pillow_nor_numpy(tmp_path: Path) -> None:
    planted(tmp_path, "a.jpg", "b")
    program = (
        "import sys; from clipsearch import images; list(images.find_images(sys.argv[1]));"
        "images.content_hash(b''); print({'PIL', 'numpy'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert said.stdout.strip() == "set()"


def test_a_non_unicode_name_becomes_a_uri_that_every_database_stores(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 100%.jpg")
    Path(odd).write_bytes(b"x")
    (found,) = find_images(tmp_path)
    assert found.path == odd
    assert found.uri == f"file://{tmp_path}/caf%E9%20100%25.jpg"
    assert path_of(found.uri) == odd


@given(st.binary(min_size=1, max_size=40))
def test_every_path_comes_back_from_its_uri(name: bytes) -> None:
    path = os.path.abspath(os.fsdecode(b"/photos/" + name))
    uri = uri_of(path)
    assert path_of(uri) == path
    uri.encode()
    assert "\0" not in uri


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=40))
def test_a_unicode_path_is_its_own_uri(name: str) -> None:
    assert uri_of(f"/photos/x{name}") == f"/photos/x{name}"
    assert path_of(f"/photos/x{name}") == f"/photos/x{name}"


def test_what_is_no_local_path_is_refused() -> None:
    for uri in ("s3://bucket/a.jpg", "a.jpg", "https://example.org/a.jpg", "", "file://host/a.jpg"):
        with pytest.raises(InvalidInput):
            path_of(uri)
    with pytest.raises(InvalidInput):
        uri_of("/photos/\ud800.jpg")


def test_a_content_hash_is_the_sha256_of_the_bytes_from_memory_or_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    planted(tmp_path, "a.bin", data=data)
    assert content_hash(data) == content_hash(tmp_path / "a.bin") == hashlib.sha256(data).hexdigest()
    assert read_file(tmp_path / "a.bin") == data
    assert read_file(str(tmp_path / "a.bin"), limit=3_000_000) == data
    with pytest.raises(TooLarge):
        read_file(tmp_path / "a.bin", limit=2_999_999)


def test_a_file_is_read_and_hashed_at_once_and_a_large_one_is_not_held_in_memory(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    planted(tmp_path, "a.bin", data=data)
    path, digest = tmp_path / "a.bin", hashlib.sha256(data).hexdigest()
    assert read_and_hash(path) == read_and_hash(str(path), whole=3_000_000) == (data, digest)
    for most in (2_999_999, 1_000_000, 1, 0):
        assert read_and_hash(path, whole=most) == (path, digest)


def test_a_file_that_cannot_be_read_is_an_unreadable_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "nope.jpg", tmp_path, tmp_path / "pipe.jpg", tmp_path / "a\0b"):
        with pytest.raises(UnreadableImage, match="cannot be read"):
            read_file(path)
        with pytest.raises(UnreadableImage, match="cannot be read"):
            content_hash(path)
        with pytest.raises(UnreadableImage, match="cannot be read"):
            read_and_hash(path)


def test_every_format_is_known_by_its_first_bytes() -> None:
    for name, data in one_file_of_each_format().items():
        assert sniff(data[:PREFIX_BYTES]) in READ_HERE, name
    assert sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "HEIC"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1miaf") == "AVIF"
    assert sniff(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom") == "RAW"
    assert sniff(b"\0\0\0\x18ftypisom\0\0\0\x01isommp42") == "video"
    assert sniff(b"II*\0\x10\0\0\0CR\x02\0") == "RAW"
    assert sniff(b'<?xml version="1.0"?><svg/>') == "SVG or HTML"
    assert sniff(b"") is None


@given(st.binary(max_size=PREFIX_BYTES))
def test_any_first_bytes_can_be_asked_about(prefix: bytes) -> None:
    assert sniff(prefix) is None or sniff(prefix)


def test_two_dots_behind_a_link_mean_what_the_system_means_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(tmp_path, "far/inner/boat.jpg", "far/photo.jpg", "near/photo.jpg", data=b"near")
    (tmp_path / "far" / "photo.jpg").write_bytes(b"far away")
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far" / "inner")
    through = tmp_path / "near" / "link" / ".." / "photo.jpg"
    true = str(tmp_path / "far" / "photo.jpg")
    assert absolute(through) == uri_of(through) == true
    assert list(find_images(through)) == list(find_images(true))
    assert list(find_images(tmp_path / "near" / "link" / "..")) == list(find_images(tmp_path / "far"))
    monkeypatch.chdir(tmp_path / "near")
    assert absolute("link/../photo.jpg") == true
    assert absolute("link/boat.jpg") == str(tmp_path / "near" / "link" / "boat.jpg"), "links are names that last"
    assert absolute("../near/link/boat.jpg") == str(tmp_path / "near" / "link" / "boat.jpg")
    assert absolute("a\0b/../c") == str(tmp_path / "near" / "c")
    assert absolute("/..") == "/"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is hidden from root")
def test_a_file_in_a_closed_folder_is_neither_there_nor_gone(tmp_path: Path) -> None:
    planted(tmp_path, "closed/boat.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        assert presence(tmp_path / "closed" / "boat.jpg") == "unknown"
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_file_is_there_or_gone_and_a_name_that_cannot_be_looked_up_is_neither(tmp_path: Path) -> None:
    planted(tmp_path, "boat.jpg")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    assert presence(tmp_path / "boat.jpg") == "there"
    for gone in ("nope.jpg", "boat.jpg/below", "dangling", "a\0b", ""):
        assert presence(tmp_path / gone) == "gone", gone
    for unknown in ("x" * 300, "circle"):
        assert presence(tmp_path / unknown) == "unknown"
