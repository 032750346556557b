"""The forms of a labelled dataset, each read back by a reader that is not ours."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipsearch.datasets import (
    DatasetClass,
    GivenLabel,
    LabelledImage,
    Placement,
    csv_lines,
    event_lines,
    json_lines,
    staged_file,
    staged_folder,
    write_coco,
    write_folders,
    write_parquet,
)
from clipsearch.errors import AlreadyExists, InvalidInput

MOMENT = dt.datetime(2026, 11, 21, 6, 30, 15, 250_000, tzinfo=dt.UTC)
CAT = DatasetClass(1, "cat", "animals")
DOG = DatasetClass(2, "dog, brown", "animals")
ODD = DatasetClass(3, "../<b>ö\n")
CLASSES = [CAT, DOG, ODD]
NEAR = np.array([0.6, 0.8], dtype=np.float32).tolist()
# Not UTF-8, with a line feed and a quote in it.
STRANGE = os.fsdecode(b'a\xff b\n".jpg')


def labelled(path: str | None, *classes: DatasetClass, **more: Any) -> LabelledImage:
    uri = path if path is not None and path.isascii() and path.isprintable() else None
    address = "file://" + urllib.parse.quote_from_bytes(os.fsencode(path)) if path is not None else "imported-1"
    return LabelledImage(
        uri or address,
        path,
        **{
            "content_hash": "ab" * 32,
            "width": 40,
            "height": 30,
            "format": "JPEG",
            "size": 123,
            "modified_at": MOMENT,
            "labels": tuple(GivenLabel(cls, 0.1 + 0.2, 0.25, 0.05) for cls in classes),
            "part": "train",
            **more,
        },
    )


def rows() -> list[LabelledImage]:
    return [
        labelled("/p/one.jpg", CAT, vector=np.array([0.6, 0.8], dtype=np.float32)),
        labelled("/p/" + STRANGE, DOG, CAT, part="valid", vector=np.array([1, 0], dtype=np.float32)),
        labelled("/p/two.jpg", ODD, source="review", vector=np.array([0, 1], dtype=np.float32)),
        labelled("/p/three.jpg", rejected="probability", part=None, vector=np.array([0, 1], dtype=np.float32)),
    ]


def no_missing(row: LabelledImage, code: str, reason: str) -> None:
    raise AssertionError((row.uri, code, reason))


def test_csv_has_a_line_for_each_image_and_label_and_reads_back_the_same_numbers() -> None:
    read = list(csv.DictReader(io.StringIO("".join(csv_lines(rows())), newline="")))
    assert [(one["uri"], one["label"], one["part"]) for one in read] == [
        ("/p/one.jpg", "cat", "train"),
        (rows()[1].uri, "dog, brown", "valid"),
        (rows()[1].uri, "cat", "valid"),
        ("/p/two.jpg", "../<b>ö\n", "train"),
        ("/p/three.jpg", "", ""),
    ]
    assert float(read[0]["probability"]) == 0.1 + 0.2
    assert (read[0]["category"], read[3]["source"], read[4]["rejected"]) == ("animals", "review", "probability")
    assert dt.datetime.fromisoformat(read[0]["modified_at"]) == MOMENT


def test_csv_of_no_images_still_names_its_columns() -> None:
    assert next(csv.reader("".join(csv_lines([])).splitlines()))[0] == "uri"


def test_lines_of_json_hold_all_labels_and_the_vector() -> None:
    read = [json.loads(line) for line in "".join(json_lines(rows())).splitlines()]
    assert [one["label"] for one in read] == ["cat", "dog, brown", "../<b>ö\n", None]
    assert [[label["label"] for label in one["labels"]] for one in read][1] == ["dog, brown", "cat"]
    assert read[0]["embedding"] == NEAR
    assert read[3]["rejected"] == "probability"
    assert read[0]["labels"][0]["probability"] == 0.1 + 0.2


def test_parquet_reads_back_with_its_types_and_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.datasets.parquet.GROUP", 3)
    write_parquet(rows(), tmp_path / "set.parquet", dimension=2, about={"label_set": "ä"})
    file = pq.ParquetFile(tmp_path / "set.parquet")
    assert file.num_row_groups == 2
    table = file.read()
    assert table.column("label").to_pylist() == ["cat", "dog, brown", "../<b>ö\n", None]
    assert table.column("labels").to_pylist()[1][1] == {
        "label": "cat", "category": "animals", "probability": 0.1 + 0.2, "score": 0.25, "margin": 0.05
    }  # fmt: skip
    assert table.column("modified_at").to_pylist()[0] == MOMENT
    assert table.column("embedding").to_pylist()[0] == NEAR
    assert json.loads(table.schema.metadata[b"clipsearch"]) == {"label_set": "ä"}


def test_parquet_without_vectors_has_no_column_of_them_and_none_of_no_rows(tmp_path: Path) -> None:
    write_parquet([], tmp_path / "set.parquet", dimension=None, about={})
    table = pq.read_table(tmp_path / "set.parquet")
    assert table.num_rows == 0
    assert "embedding" not in table.column_names


def coco(rows: Sequence[LabelledImage], place: Path, placement: Placement | None = None) -> dict[str, Any]:
    place.mkdir(exist_ok=True)
    write_coco(rows, place, classes=CLASSES, parts=("train", "valid", "test"), placement=placement,
               on_missing=no_missing, about={"label_set": "pets"})  # fmt: skip
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in place.glob("*.json")}


def test_coco_files_refer_to_what_is_in_them(tmp_path: Path) -> None:
    parts = coco(rows(), tmp_path / "coco")
    assert set(parts) == {"train", "valid", "test", "_rejected"}
    assert not list((tmp_path / "coco").glob(".*"))
    for part in parts.values():
        assert part["categories"] == [
            {"id": 1, "name": "cat", "supercategory": "animals"},
            {"id": 2, "name": "dog, brown", "supercategory": "animals"},
            {"id": 3, "name": "../<b>ö\n", "supercategory": ""},
        ]
        images = {image["id"]: image for image in part["images"]}
        assert len(images) == len(part["images"])
        for one in part["annotations"]:
            image = images[one["image_id"]]
            assert one["bbox"] == [0, 0, image["width"], image["height"]]
            assert one["area"] == image["width"] * image["height"]
            assert one["category_id"] in {1, 2, 3}
    ids = [one["id"] for part in parts.values() for one in part["annotations"]]
    assert len(set(ids)) == len(ids) == 4
    assert [len(parts[name]["images"]) for name in ("train", "valid", "test", "_rejected")] == [2, 1, 0, 1]
    assert parts["_rejected"]["annotations"] == []


def test_coco_names_an_image_without_a_size_and_leaves_it_out(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    (tmp_path / "coco").mkdir()
    write_coco([labelled(None, CAT, width=None)], tmp_path / "coco", classes=CLASSES, parts=(), placement=None,
               on_missing=lambda row, code, _reason: told.append((row.uri, code)), about={})  # fmt: skip
    assert told == [("imported-1", "no_size")]
    assert json.loads((tmp_path / "coco" / "annotations.json").read_text())["images"] == []


def test_coco_with_pictures_names_them_below_their_part(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"one")
    parts = coco([labelled(str(tmp_path / "one.jpg"), CAT)], tmp_path / "coco", "copy")
    assert [image["file_name"] for image in parts["train"]["images"]] == ["one.jpg"]
    assert (tmp_path / "coco" / "train" / "one.jpg").read_bytes() == b"one"


def test_an_event_has_the_shape_that_pipelines_expect(tmp_path: Path) -> None:
    lines = list(event_lines(rows(), model="a/b", moment=MOMENT, vectors=tmp_path, vectors_at=Path("/later/vectors")))
    events = [json.loads(line) for line in lines]
    first = events[0]
    assert list(first) == ["specversion", "id", "type", "time", "data"]
    assert list(first["data"]) == ["chainId", "source", "document", "metadata", "callStack"]
    assert (first["specversion"], first["type"], first["time"]) == (
        "1.0", "document-created", "2026-11-21T06:30:15.250Z"
    )  # fmt: skip
    assert first["data"]["document"] == {
        "url": "file:///p/one.jpg", "type": "image/jpeg", "size": 123, "etag": "ab" * 32
    }  # fmt: skip
    assert first["data"]["source"] == first["data"]["document"]
    assert [event["data"]["metadata"]["keywords"] for event in events[:2]] == [["cat"], ["dog, brown", "cat"]]
    assert len({event["id"] for event in events}) == len(events)
    attributes = first["data"]["metadata"]["properties"]
    assert attributes["kind"] == "text"
    told = attributes["attrs"]["embeddings"]
    assert (told["model"], told["dimensions"]) == ("a/b", 2)
    place = Path(urllib.parse.unquote(urllib.parse.urlsplit(told["vectors"]).path)).relative_to("/later/vectors")
    assert json.loads((tmp_path / place).read_text()) == [0.6, 0.8]
    strange = urllib.parse.urlsplit(events[1]["data"]["document"]["url"])
    assert os.fsdecode(urllib.parse.unquote_to_bytes(strange.path)) == "/p/" + STRANGE


def test_the_same_images_give_the_same_events_and_no_vectors_unless_asked_for() -> None:
    first, second = (list(event_lines(rows(), model="a/b", moment=MOMENT)) for _ in range(2))
    assert first == second
    assert json.loads(first[0])["data"]["metadata"]["properties"] == {"kind": "text", "attrs": {}}


def folders(rows: Sequence[LabelledImage], place: Path, placement: Placement = "hardlink", **more: Any) -> list[str]:
    told: list[str] = []
    place.mkdir()
    options: dict[str, Any] = {"classes": CLASSES, "parts": ("train", "valid"), "about": {}} | more
    write_folders(rows, place, placement=placement, on_missing=lambda _row, code, _why: told.append(code), **options)
    return told


@pytest.mark.parametrize("placement", ["hardlink", "symlink", "copy"])
def test_pictures_lie_in_the_folder_of_their_class(tmp_path: Path, placement: Placement) -> None:
    for name in ("one.jpg", "two.jpg", "three.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ONE.jpg").write_bytes(b"another one")
    strange = tmp_path / STRANGE
    strange.write_bytes(b"strange")
    told = folders(
        [
            labelled(str(tmp_path / "one.jpg"), CAT),
            labelled(str(tmp_path / "other" / "ONE.jpg"), CAT),
            labelled(str(tmp_path / "two.jpg"), CAT, DOG),
            labelled(str(strange), ODD, part="valid"),
            labelled(str(tmp_path / "three.jpg"), part=None, rejected="margin"),
        ],
        tmp_path / "set",
        placement,
    )
    assert told == []
    files = {str(file.relative_to(tmp_path / "set")): file.read_bytes() for file in (tmp_path / "set").rglob("*.jpg")}
    assert files == {
        "train/cat/one.jpg": b"one.jpg",
        "train/cat/ONE-2.jpg": b"another one",
        "train/cat/two.jpg": b"two.jpg",
        "train/dog, brown/two.jpg": b"two.jpg",
        "valid/_..__b_ö_/a� b__.jpg": b"strange",
        "_rejected/three.jpg": b"three.jpg",
    }
    # Who numbers the folders of a part gives a class the same number in each.
    assert len({tuple(sorted(os.listdir(tmp_path / "set" / part))) for part in ("train", "valid")}) == 1
    about = json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
    assert [one["class"] for one in about["classes"]] == ["cat", "dog, brown", "../<b>ö\n"]
    assert (tmp_path / "set" / "train" / "cat" / "one.jpg").is_symlink() == (placement == "symlink")


def test_a_picture_whose_file_is_gone_is_told_and_the_others_are_written(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"one")
    rows = [
        labelled(str(tmp_path / "none.jpg"), CAT, DOG),
        labelled(None, CAT),
        labelled(str(tmp_path / "one.jpg"), CAT),
    ]
    assert folders(rows, tmp_path / "set") == ["unreadable", "no_file"]
    assert [file.name for file in (tmp_path / "set" / "train" / "cat").iterdir()] == ["one.jpg"]


def test_a_hard_link_is_one_to_the_file_and_not_to_a_link(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"one")
    (tmp_path / "link.jpg").symlink_to("one.jpg")
    folders([labelled(str(tmp_path / "link.jpg"), CAT)], tmp_path / "set")
    placed = tmp_path / "set" / "train" / "cat" / "link.jpg"
    assert not placed.is_symlink()
    assert placed.samefile(tmp_path / "one.jpg")


def test_classes_whose_names_fall_together_have_folders_of_their_own(tmp_path: Path) -> None:
    names = ["Cat", "cat", "cat?", "cat*", "_rejected", "CON", "dataset.json", "x" * 300, "x" * 300 + "y", ""]
    classes = [DatasetClass(number, name) for number, name in enumerate(names, start=1)]
    (tmp_path / "one.jpg").write_bytes(b"one")
    rows = [labelled(str(tmp_path / "one.jpg"), *classes, part=None)]
    assert folders(rows, tmp_path / "set", classes=classes, parts=()) == []
    about = json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
    made = [one["folder"] for one in about["classes"]]
    assert made[:6] == ["Cat", "cat-2", "cat_", "cat_-2", "_rejected-2", "_CON"]
    assert len({name.casefold() for name in made}) == len(names)
    assert all((tmp_path / "set" / name / "one.jpg").is_file() for name in made)


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with pytest.raises(RuntimeError), staged_folder(target) as place:  # noqa: PT012  it is to break off in the middle
        (place / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    target.mkdir()  # an empty one may be filled
    with staged_folder(target) as place:
        (place / "whole").write_text("whole")
        assert list(target.iterdir()) == []
    assert [one.name for one in target.iterdir()] == ["whole"]
    assert [one.name for one in tmp_path.iterdir()] == ["set"]
    with pytest.raises(AlreadyExists, match="is not overwritten"), staged_folder(target):
        pass


def test_what_came_there_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(AlreadyExists), staged_file(tmp_path / "set.csv") as place:  # noqa: PT012  raised at its end
        place.write_text("ours")
        (tmp_path / "set.csv").write_text("theirs")
    with pytest.raises(AlreadyExists), staged_folder(tmp_path / "set") as place:  # noqa: PT012  raised at its end
        (place / "ours").touch()
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "theirs").touch()
    assert (tmp_path / "set.csv").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == ["set", "set.csv"]
    assert os.listdir(tmp_path / "set") == ["theirs"]


def test_a_target_without_a_folder_above_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no folder"), staged_file(tmp_path / "no" / "set.csv"):
        pass


def test_a_dangling_link_in_the_place_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "set.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(AlreadyExists), staged_file(tmp_path / "set.csv"):
        pass
    assert not (tmp_path / "elsewhere.csv").exists()
