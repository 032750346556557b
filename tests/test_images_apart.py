"""A picture that another process decoded is the one that would have been decoded here, and so is a refusal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_fixtures import encoded, exif_block, huge_png, one_file_of_each_format, photograph, quarters, turned

from clipsearch.errors import TooManyPixels, UnreadableImage, UnsupportedFormat
from clipsearch.images import DecodingProcess, open_picture


@pytest.fixture(scope="module")
def apart() -> Iterator[DecodingProcess]:
    process = DecodingProcess()
    yield process
    process.close()


@pytest.mark.parametrize("name", one_file_of_each_format())
def test_every_format_comes_back_as_it_is_decoded_here(apart: DecodingProcess, name: str) -> None:
    data = one_file_of_each_format()[name]
    assert apart.open_picture(data) == open_picture(data)


def test_a_file_is_opened_by_its_path_whatever_its_name(apart: DecodingProcess, tmp_path: Path) -> None:
    data = encoded(turned(quarters(), 6), "JPEG", exif=exif_block(6, taken="2019:05:04 03:02:01"))
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff \xc3\xa9.jpg"))
    path.write_bytes(data)
    opened = apart.open_picture(path)
    assert opened == open_picture(data)
    assert opened.taken_at is not None


def test_a_reduced_picture_is_the_same_reduced_picture(apart: DecodingProcess) -> None:
    data = encoded(photograph(800, 600), "JPEG", quality=90)
    opened = apart.open_picture(data, reduced_to=32)
    assert opened == open_picture(data, reduced_to=32)
    assert opened.picture.size == (100, 75)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", UnreadableImage),
        (b"%PDF-1.7", UnsupportedFormat),
        (huge_png(100_000, 100_000), TooManyPixels),
        (encoded(quarters(), "PNG")[:80], UnreadableImage),
    ],
)
def test_a_refusal_has_the_same_words(apart: DecodingProcess, data: bytes, kind: type[UnreadableImage]) -> None:
    with pytest.raises(kind) as there:
        apart.open_picture(data)
    with pytest.raises(kind) as here:
        open_picture(data)
    assert (there.type, there.value.message, there.value.details) == (
        here.type,
        here.value.message,
        here.value.details,
    )


def test_a_file_that_is_not_there_is_refused(apart: DecodingProcess, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="cannot be read"):
        apart.open_picture(tmp_path / "nothing.jpg")


def test_a_process_that_others_killed_costs_no_image() -> None:
    process, data = DecodingProcess(), encoded(quarters(), "PNG")
    process.open_picture(data)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert process.open_picture(data) == open_picture(data)
    process.close()
    assert process.pid is None


def test_a_process_finds_this_package_before_any_other_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clipsearch").mkdir()
    (tmp_path / "clipsearch" / "__init__.py").write_text("raise SystemExit('another package')")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    process, data = DecodingProcess(), encoded(quarters(), "PNG")
    assert process.open_picture(data) == open_picture(data)
    process.close()
