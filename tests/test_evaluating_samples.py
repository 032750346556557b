"""What an evaluation reads: classes from folders and tables, and which label each class stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_fixtures import write_table
from hypothesis import given
from hypothesis import strategies as st
from library_fixtures import draw

from clipsearch.errors import InvalidInput, SourceNotFound
from clipsearch.evaluating import read_samples
from clipsearch.evaluating.class_names import class_name, comparable, is_bare_number, places_of
from clipsearch.images import path_of


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Japanese_Cherry", "Japanese Cherry"),
        ("n01440764_tench", "tench"),
        ("n02085620-Chihuahua", "Chihuahua"),
        ("n01440764", "tench"),
        ("n09999999", "n09999999"),
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("12 - dogs", "dogs"),
        ("2024", "2024"),
        ("3d_models", "3d models"),
        ("Faces_easy", "centered face"),
        ("BACKGROUND_Google", "background"),
        ("__", "__"),
        ("cafe\u0301", "café"),
    ],
)
def test_a_folders_name_becomes_words(folder: str, name: str) -> None:
    assert class_name(folder) == name


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip()))
def test_every_folder_has_a_class_and_a_spelling_that_compares_to_itself(folder: str) -> None:
    assert class_name(folder).strip()
    assert comparable(comparable(folder)) == comparable(folder)


def test_a_number_that_no_one_can_read_is_told() -> None:
    assert is_bare_number("n09999999")
    assert not is_bare_number("n01440764")
    assert not is_bare_number("n01440764_tench")


def test_classes_find_their_labels_by_name_then_by_spelling_then_by_what_was_given() -> None:
    labels = ["Red Fox", "red fox", "sea-horse", "dog", "dog"]
    known, unknown = places_of(["red fox", "Sea_Horse", "dog", "Köter", "zebra"], labels, {"Köter": "dog"})
    assert known == {"red fox": 1, "Sea_Horse": 2, "dog": 3, "Köter": 3}
    assert unknown == ["zebra"]


def test_a_folder_per_class_is_read_with_subfolders_and_what_lies_beside_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "sea_horse" / "deep" / "one.png", 1)
    draw(tmp_path / "dog" / "two.jpg", 2)
    draw(tmp_path / "stray.png", 3)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    found = read_samples(tmp_path)
    assert [(Path(path_of(one.uri)).name, one.labels) for one in found.samples] == [
        ("two.jpg", ("dog",)),
        ("one.png", ("sea horse",)),
    ]
    assert [(one.code, Path(one.uri).name) for one in found.failed] == [("no_class", "stray.png")]
    assert (found.kind, found.classes, found.folders) == (
        "folder",
        ["dog", "sea horse"],
        {"dog": "dog", "sea horse": "sea_horse"},
    )


def test_linked_pictures_and_folders_count(tmp_path: Path) -> None:
    picture = draw(tmp_path / "elsewhere" / "one.png", 1)
    (tmp_path / "classes" / "dog").mkdir(parents=True)
    (tmp_path / "classes" / "dog" / "linked.png").symlink_to(picture)
    (tmp_path / "classes" / "cat").symlink_to(tmp_path / "elsewhere")
    assert read_samples(tmp_path / "classes").classes == ["cat", "dog"]


def test_two_folders_of_one_name_and_the_splits_of_a_data_set_are_refused(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "sea_horse" / "1.png", 1)
    draw(tmp_path / "a" / "sea horse" / "1.png", 1)
    with pytest.raises(InvalidInput, match="both mean 'sea horse'"):
        read_samples(tmp_path / "a")
    draw(tmp_path / "b" / "train" / "dog" / "1.png", 1)
    draw(tmp_path / "b" / "test" / "dog" / "1.png", 1)
    with pytest.raises(InvalidInput, match=r"splits, not classes; name one of them: .*/test"):
        read_samples(tmp_path / "b")


def test_a_folder_without_folders_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 1)
    with pytest.raises(InvalidInput, match="no folder of pictures"):
        read_samples(tmp_path)
    with pytest.raises(SourceNotFound):
        read_samples(tmp_path / "nowhere")


def test_a_table_without_heading_names_files_and_their_labels(tmp_path: Path) -> None:
    one, two = draw(tmp_path / "one.png", 1), draw(tmp_path / "deep" / "two.png", 2)
    rows = [["one.png", "cat", "dog"], [str(two), "cat"], ["one.png", "bird", "cat"], ["gone.png", "cat"], ["", "cat"]]
    found = read_samples(write_table(tmp_path / "truth.csv", [], rows))
    assert {one.uri: one.labels for one in found.samples} == {
        str(one): ("cat", "dog", "bird"),
        str(two): ("cat",),
    }
    assert [one.code for one in found.failed] == ["source_not_found", "no_file"]
    assert found.kind == "table"


def test_two_spellings_of_one_path_are_one_sample(tmp_path: Path) -> None:
    draw(tmp_path / "one.png", 1)
    table = write_table(tmp_path / "truth.csv", [], [["one.png", "cat"], ["./one.png", "dog"]])
    assert [one.labels for one in read_samples(table).samples] == [("cat", "dog")]


def test_a_heading_tells_captions_from_labels(tmp_path: Path) -> None:
    draw(tmp_path / "one.png", 1)
    rows = [["one.png", "a cat, asleep"], ["one.png", "the same cat"]]
    captions = read_samples(write_table(tmp_path / "captions.csv", ["image", "caption"], rows))
    assert (captions.kind, captions.samples[0].captions) == ("captions", ("a cat, asleep", "the same cat"))
    labels = read_samples(write_table(tmp_path / "labels.csv", ["filename", "class"], rows))
    assert (labels.kind, labels.samples[0].labels) == ("table", ("a cat, asleep", "the same cat"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'"never closed'])
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"t\.csv"):
        read_samples(tmp_path / "t.csv")
