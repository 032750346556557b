"""``clipsearch export`` as people and programs call it."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, STRANGE, Shelf, new_shelf
from encoder_fixtures import pictures


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Pictures, one of a name that is no text, and a label set."""
    made = new_shelf(tmp_path_factory.getbasetemp(), "export-shelf")
    pictures(PICTURES + 1, (64, 40))[-1].save(made.pictures / "strange.jpg")
    os.rename(made.pictures / "strange.jpg", os.fsencode(made.pictures) + b"/" + STRANGE)
    assert made.call("index", made.pictures).code == 0
    assert made.call("labels", "create", "colours", "red", "deep blue").code == 0
    return made


def test_a_folder_for_each_class_and_a_table_of_what_lies_in_it(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("export", "colours", tmp_path / "set", "--split", "1,1,0", "--seed", "3")
    assert done.code == 0, done.err
    assert "class" in done.text
    assert f"{PICTURES + 1} images exported to {tmp_path / 'set'}" in done.text
    files = [file for file in (tmp_path / "set").rglob("*") if file.suffix in {".png", ".jpg"}]
    assert len(files) == PICTURES + 1
    assert {file.parent.name for file in files} <= {"red", "deep blue"}
    assert {file.parent.parent.name for file in files} <= {"train", "valid"}
    assert all(file.name.isprintable() for file in files)


def test_the_report_is_one_object_on_one_line(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("export", "colours", tmp_path / "set.parquet", "--format", "parquet", "--embeddings", "--json")
    assert done.code == 0, done.err
    assert done.answer["labelled"] == done.answer["images"] == PICTURES + 1
    assert sum(one["images"] for one in done.answer["classes"]) == PICTURES + 1
    assert (tmp_path / "set.parquet").stat().st_size > 0


def test_lines_go_to_stdout_where_no_target_is_named(shelf: Shelf) -> None:
    done = shelf.call("export", "colours", "--format", "csv", "--no-split")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out.decode(), newline="")))
    assert len(rows) == PICTURES + 1
    assert {row["label"] for row in rows} <= {"red", "deep blue"}
    assert {row["part"] for row in rows} == {""}
    assert any(row["uri"].startswith("file:///") for row in rows)  # the name that is no text


def test_events_need_no_label_set(shelf: Shelf) -> None:
    done = shelf.call("export", "--format", "cloudevents", "--glob", "*/picture-[01].png")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [len(event["data"]["metadata"]["keywords"]) for event in events] == [5, 5]


def test_a_dry_run_writes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("export", "colours", tmp_path / "set", "--dry-run")
    assert done.code == 0
    assert "would be exported" in done.text
    assert os.listdir(tmp_path) == []
    assert shelf.call("export", "colours", "--dry-run").code == 0


def test_the_format_of_the_images_is_filtered_under_another_name(shelf: Shelf) -> None:
    done = shelf.call("export", "colours", "--dry-run", "--json", "--image-format", "JPEG")
    assert done.answer["images"] == 1


def test_rejected_images_are_counted_and_kept_where_asked_for(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("export", "colours", tmp_path / "set", "--min-probability", "1", "--keep-rejected")
    assert done.code == 0, done.err
    assert f"{PICTURES + 1} images without a label, written as _rejected: {PICTURES + 1} by probability" in done.text
    assert len(list((tmp_path / "set" / "_rejected").iterdir())) == PICTURES + 1


def test_what_cannot_be_exported_is_named(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = new_shelf(tmp_path, "shelf")
    assert made.call("index", made.pictures).code == 0
    assert made.call("labels", "create", "colours", "red", "blue").code == 0
    (made.pictures / "picture-0.png").unlink()
    done = made.call("export", "colours", tmp_path / "set")
    assert done.code == 0
    assert "picture-0.png: its file is not there any more" in done.err
    assert "1 image could not be exported" in done.err
    done = made.call("export", "colours", "--format", "xmp")
    assert f"{PICTURES - 1} sidecars written" in done.text
    assert len(list(made.pictures.glob("*.xmp"))) == PICTURES - 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name the label set"),
        (("colours",), 2, "say where to write"),
        (("colours", "--format", "csv", "--json"), 2, "stdout"),
        (("colours", "x", "--split", "80,20"), 2, "three numbers"),
        (("colours", "x", "--split", "0,0,0"), 1, "shares"),
        (("colours", "x", "--format", "xmp"), 1, "beside the images"),
        (("colours", "x.csv", "--format", "csv", "--embeddings"), 1, "embeddings"),
        (("none", "--format", "csv"), 1, "no label set"),
        (("colours", "--format", "cloudevents", "--embeddings"), 2, "say where to write"),
        (("colours", "--dry-run", "--glob", "nowhere/*"), 3, "no image"),
    ],
)
def test_what_does_not_go_is_said_in_one_line(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = shelf.call("export", *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert os.listdir(tmp_path) == []


def test_a_target_that_is_there_is_not_overwritten(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("mine")
    done = shelf.call("export", "colours", tmp_path / "set.csv", "--format", "csv")
    assert done.code == 1
    assert "is not overwritten" in done.err
    assert (tmp_path / "set.csv").read_text() == "mine"
