"""Labels out of a real library: who said them, where they lie, and what is told of those that cannot be written."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from library_fixtures import CountingEncoder, draw, draw_many, index, library_with, sqlite_url

from clipsearch import OpenLibrary
from clipsearch.answers import ExportReport
from clipsearch.classifying import classify_stored
from clipsearch.database.filtering import list_images
from clipsearch.database.images import ImageRow
from clipsearch.database.label_sets import get_label_set, save_label_set
from clipsearch.database.reviews import save_review
from clipsearch.database.taggings import tagging_states
from clipsearch.encoder import Encoder
from clipsearch.errors import AlreadyExists, InvalidInput, LabelSetNotFound
from clipsearch.exporting import ExportOptions, Split, export_labels, export_lines
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library
from clipsearch.queries import Filters, Labels
from clipsearch.recent import Recent
from clipsearch.tagging import tag_collection

PICTURES = 24
NAMES = ("red", "green", "blue", "yellow")
COLOURS = LabelSet(labels=tuple(Label(name=name, category=name[:1]) for name in NAMES), templates=("a {} thing",))


def keep(library: Library, wanted: LabelSet = COLOURS, name: str = "colours") -> None:
    with library.database.write() as connection:
        save_label_set(connection, name, wanted, replace=True)


def stored(library: Library) -> list[ImageRow]:
    with library.database.read() as connection:
        return list_images(connection, library.collection().id, Filters(), limit=1000)


def review(library: Library, image: ImageRow, *labels: str, verdict: str = "corrected") -> None:
    with library.database.write() as connection:
        label_set = get_label_set(connection, "colours")
        save_review(connection, label_set.id, label_set.version, image, verdict, labels)


def export(library: Library, target: Path | None, label_set: str | None = "colours", **options: Any) -> ExportReport:
    report = export_labels(library, label_set, target, ExportOptions(**options))
    accounted = report.labelled + sum(report.rejected.values()) + len(report.failed)
    assert accounted == report.images, "an image was dropped without a word"
    assert sum(report.parts.values()) == (report.labelled if report.parts else 0)
    return report


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def shown(library: Library, photos: Path) -> Library:
    """A library of pictures with a label set."""
    draw_many(photos, PICTURES)
    index(library, photos)
    keep(library)
    return library


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, shared_encoder: Encoder) -> Iterator[Library]:
    """The same, for all tests that change nothing."""
    folder = tmp_path_factory.mktemp("exporting")
    draw_many(folder / "photos", PICTURES)
    sqlite_url(folder / "data", migrated_file)
    with library_with(CountingEncoder(shared_encoder), folder / "data") as library:
        index(library, folder / "photos")
        keep(library)
        yield library


def test_labels_are_the_same_in_every_form(shelf: Library, tmp_path: Path) -> None:
    report = export(shelf, tmp_path / "set.jsonl", form="jsonl")
    assert report.classified == report.labelled == PICTURES
    wanted = {one["uri"]: (one["label"], one["part"]) for one in lines(tmp_path / "set.jsonl")}
    assert len(wanted) == PICTURES
    export(shelf, tmp_path / "set.csv", form="csv")
    with (tmp_path / "set.csv").open(encoding="utf-8", newline="") as file:
        assert {one["uri"]: (one["label"], one["part"]) for one in csv.DictReader(file)} == wanted
    export(shelf, tmp_path / "set.parquet", form="parquet", embeddings=True)
    table = pq.read_table(tmp_path / "set.parquet").to_pylist()
    assert {one["uri"]: (one["label"], one["part"]) for one in table} == wanted
    assert all(abs(np.linalg.norm(one["embedding"]) - 1) < 1e-2 for one in table)
    export(shelf, tmp_path / "coco", form="coco")
    found: dict[str, tuple[str, str]] = {}
    for part in ("train", "valid", "test"):
        read = json.loads((tmp_path / "coco" / f"{part}.json").read_text())
        names = {one["id"]: one["name"] for one in read["categories"]}
        uris = {one["id"]: one["file_name"] for one in read["images"]}
        found |= {uris[one["image_id"]]: (names[one["category_id"]], part) for one in read["annotations"]}
    assert found == wanted
    report = export(shelf, tmp_path / "folders", form="folder")
    found = {
        os.readlink(file) if file.is_symlink() else file.name: (file.parent.name, file.parent.parent.name)
        for file in (tmp_path / "folders").rglob("*.png")
    }
    assert found == {Path(uri).name: of for uri, of in wanted.items()}
    assert report.parts == {part: Counter(of[1] for of in wanted.values())[part] for part in ("train", "valid", "test")}
    assert {one.name: one.images for one in report.classes} == Counter(of[0] for of in wanted.values())
    assert report.copied == 0
    export(shelf, tmp_path / "events.jsonl", form="cloudevents")
    keywords = {one["data"]["document"]["url"].removeprefix("file://"): one["data"]["metadata"]["keywords"]
                for one in lines(tmp_path / "events.jsonl")}  # fmt: skip
    assert keywords == {uri: [label] for uri, (label, _) in wanted.items()}


def test_a_set_written_twice_is_the_same_to_the_byte(shelf: Library, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(shelf, tmp_path / f"{name}.csv", form="csv")
        export(shelf, tmp_path / name, form="folder", placement="copy")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    trees = [sorted(str(file.relative_to(tmp_path / name)) for file in (tmp_path / name).rglob("*"))
             for name in ("one", "two")]  # fmt: skip
    assert trees[0] == trees[1]


def test_another_seed_makes_other_parts_and_the_same_labels(shelf: Library, tmp_path: Path) -> None:
    for seed in (0, 1):
        export(shelf, tmp_path / f"{seed}.jsonl", form="jsonl", split=Split(0.5, 0.25, 0.25, seed=seed))
    one, two = lines(tmp_path / "0.jsonl"), lines(tmp_path / "1.jsonl")
    assert [row["label"] for row in one] == [row["label"] for row in two]
    assert [row["part"] for row in one] != [row["part"] for row in two]


def test_the_same_content_lies_in_one_part_wherever_it_lies(library: Library, photos: Path, tmp_path: Path) -> None:
    for copy in range(3):
        draw_many(photos / str(copy), 12)
    index(library, photos)
    keep(library)
    export(library, tmp_path / "set.jsonl", form="jsonl", split=Split(1, 1, 1))
    parts: dict[str, set[str]] = {}
    for row in lines(tmp_path / "set.jsonl"):
        parts.setdefault(row["content_hash"], set()).add(row["part"])
    assert len(parts) == 12
    assert all(len(one) == 1 for one in parts.values())
    assert len(set.union(*parts.values())) > 1


def test_without_a_split_there_are_no_parts(shelf: Library, tmp_path: Path) -> None:
    report = export(shelf, tmp_path / "set", form="folder", split=None)
    assert report.parts == {}
    assert {one.name for one in (tmp_path / "set").iterdir()} <= {*NAMES, "dataset.json"}
    export(shelf, tmp_path / "coco", form="coco", split=None)
    assert [one.name for one in (tmp_path / "coco").iterdir()] == ["annotations.json"]


def test_what_is_below_the_floor_is_rejected_and_kept_apart_where_asked_for(shelf: Library, tmp_path: Path) -> None:
    export(shelf, tmp_path / "all.jsonl", form="jsonl")
    known = {row["uri"]: row["labels"][0]["probability"] for row in lines(tmp_path / "all.jsonl")}
    floor = float(np.median(list(known.values())))
    below = {uri for uri, probability in known.items() if probability < floor}
    assert below
    report = export(shelf, tmp_path / "some.jsonl", form="jsonl", min_probability=floor)
    assert report.rejected == {"probability": len(below)}
    assert {row["uri"] for row in lines(tmp_path / "some.jsonl")} == known.keys() - below
    export(shelf, tmp_path / "bucket.jsonl", form="jsonl", min_probability=floor, keep_rejected=True)
    rejected = {row["uri"] for row in lines(tmp_path / "bucket.jsonl") if row["rejected"] == "probability"}
    assert rejected == below
    export(shelf, tmp_path / "set", form="folder", min_probability=floor, keep_rejected=True)
    assert {one.name for one in (tmp_path / "set" / "_rejected").iterdir()} == {Path(uri).name for uri in below}
    assert not (tmp_path / "set" / "train" / "_rejected").exists()


def test_thresholds_of_the_set_hold_in_an_export(shown: Library, tmp_path: Path) -> None:
    keep(shown, LabelSet(labels=COLOURS.labels, templates=COLOURS.templates, min_score=0.999))
    assert export(shown, tmp_path / "set.csv", form="csv").rejected == {"score": PICTURES}


def test_tags_that_stand_are_used_and_no_model_is_asked(
    shown: Library, encoder: CountingEncoder, tmp_path: Path
) -> None:
    export(shown, tmp_path / "model.jsonl", form="jsonl")
    tag_collection(shown, "colours", top=2)
    before = encoder.texts
    shown.recent = Recent()  # as after a restart
    report = export(shown, tmp_path / "tags.jsonl", form="jsonl")
    assert (report.from_tags, report.classified) == (PICTURES, 0)
    assert encoder.texts == before
    one, two = lines(tmp_path / "model.jsonl"), lines(tmp_path / "tags.jsonl")
    for by_model, by_tag in zip(one, two, strict=True):
        assert by_model["labels"][0].pop("probability") == pytest.approx(
            by_tag["labels"][0].pop("probability"), abs=1e-5
        )
        for name in ("score", "margin"):
            assert by_model["labels"][0].pop(name) == pytest.approx(by_tag["labels"][0].pop(name), abs=1e-5)
        assert by_model == by_tag


def test_images_that_came_after_the_tags_are_classified(shown: Library, photos: Path, tmp_path: Path) -> None:
    tag_collection(shown, "colours", automatic=False)
    draw_many(photos, 3, start=100)
    index(shown, photos)
    report = export(shown, tmp_path / "set.csv", form="csv")
    assert (report.from_tags, report.classified) == (PICTURES, 3)


def test_tags_of_other_scores_are_not_used(shown: Library, tmp_path: Path) -> None:
    tag_collection(shown, "colours")
    keep(shown, LabelSet(labels=COLOURS.labels, templates=("{}",)))
    report = export(shown, tmp_path / "set.csv", form="csv")
    assert (report.from_tags, report.classified) == (0, PICTURES)


@pytest.mark.parametrize("top", [1, 2, 4])
def test_of_several_labels_all_that_hold_are_written_though_fewer_were_kept(
    shown: Library, tmp_path: Path, top: int
) -> None:
    labels = tuple(Label(name=name, min_probability=0.0 if name == "blue" else None) for name in NAMES)
    keep(shown, LabelSet(labels=labels, templates=("a {} thing",), mode="multi", min_probability=0.3))
    export(shown, tmp_path / "model.jsonl", form="jsonl")
    tag_collection(shown, "colours", top=top)
    export(shown, tmp_path / "tags.jsonl", form="jsonl")
    one, two = lines(tmp_path / "model.jsonl"), lines(tmp_path / "tags.jsonl")
    names = [[label["label"] for label in row["labels"]] for row in one]
    assert names == [[label["label"] for label in row["labels"]] for row in two]
    assert all("blue" in row for row in names)


def test_what_a_person_decided_stands_before_the_model(shown: Library, tmp_path: Path) -> None:
    tag_collection(shown, "colours")
    first, second, third, fourth, fifth = stored(shown)[:5]
    review(shown, first, "yellow")
    review(shown, second)
    review(shown, third, verdict="skipped")
    review(shown, fourth, "a label that the set had once")
    review(shown, fifth, "blue", "red")
    report = export(shown, tmp_path / "set.jsonl", form="jsonl", min_probability=0.0, keep_rejected=True)
    assert report.reviewed == 3
    assert report.rejected == {"review": 1}
    rows = {row["uri"]: row for row in lines(tmp_path / "set.jsonl")}
    assert rows[first.uri]["labels"] == [
        {"label": "yellow", "category": "y", "probability": None, "score": None, "margin": None}
    ]
    assert (rows[first.uri]["source"], rows[third.uri]["source"]) == ("review", "model")
    assert rows[second.uri]["rejected"] == "review"
    assert rows[fourth.uri]["source"] == "model"
    assert [one["label"] for one in rows[fifth.uri]["labels"]] == ["red", "blue"]


def test_a_review_of_another_content_does_not_stand(shown: Library, photos: Path, tmp_path: Path) -> None:
    first = stored(shown)[0]
    review(shown, first, "yellow")
    draw(Path(first.uri), seed=999)
    index(shown, photos)
    assert export(shown, tmp_path / "set.csv", form="csv").reviewed == 0


def test_categories_add_up_what_their_labels_share(shown: Library, tmp_path: Path) -> None:
    labels = tuple(Label(name=name, category="warm" if name in {"red", "yellow"} else "cold") for name in NAMES)
    keep(shown, LabelSet(labels=labels, templates=("a {} thing",)))
    report = export(shown, tmp_path / "set.jsonl", form="jsonl", by="category")
    assert {one.name for one in report.classes} <= {"warm", "cold"}
    assert report.labelled == PICTURES
    assert all(row["labels"][0]["probability"] >= 0.5 for row in lines(tmp_path / "set.jsonl"))
    first = stored(shown)[0]
    review(shown, first, "yellow")
    export(shown, tmp_path / "reviewed.jsonl", form="jsonl", by="category")
    assert lines(tmp_path / "reviewed.jsonl")[0]["label"] == "warm"


@pytest.mark.parametrize(
    "thresholds",
    [{}, {"min_probability": 0.6}, {"min_margin": 0.3}, {"min_score": 0.02}, {"background": ("something else",)}],
)
def test_an_export_by_category_gives_the_categories_that_a_classification_tells(
    shown: Library, tmp_path: Path, thresholds: dict[str, Any]
) -> None:
    labels = tuple(Label(name=name, category="warm" if name in {"red", "yellow"} else "cold") for name in NAMES)
    keep(shown, LabelSet(labels=labels, templates=("a {} thing",), **thresholds))
    told = classify_stored(shown, Labels(label_set="colours"), top=1).results
    export(shown, tmp_path / "set.jsonl", form="jsonl", by="category", keep_rejected=True)
    exported = {row["uri"]: row["label"] for row in lines(tmp_path / "set.jsonl")}
    assert exported == {one.uri: one.category for one in told}
    assert len(exported) == PICTURES
    if thresholds:
        assert len(set(exported.values())) > 1 or None in exported.values()


def test_a_set_without_categories_is_not_exported_by_them(shown: Library, tmp_path: Path) -> None:
    keep(shown, LabelSet(labels=(Label(name="a"), Label(name="b")), templates=("{}",)))
    with pytest.raises(InvalidInput, match="has a category"):
        export(shown, tmp_path / "set.csv", form="csv", by="category")


def test_files_that_are_gone_or_changed_are_named(shown: Library, tmp_path: Path) -> None:
    gone, changed, touched = (Path(row.uri) for row in stored(shown)[:3])
    gone.unlink()
    draw(changed, seed=999)
    os.utime(touched, ns=(1, 1))
    report = export(shown, tmp_path / "set", form="folder")
    assert {(one.uri, one.code) for one in report.failed} == {(str(gone), "missing"), (str(changed), "changed")}
    assert len(list((tmp_path / "set").rglob("*.png"))) == PICTURES - 2
    listed = export(shown, tmp_path / "set.csv", form="csv")
    assert listed.labelled == PICTURES
    assert [one.code for one in listed.missing] == ["missing", "changed"]


def test_a_target_that_is_there_is_not_touched(shelf: Library, tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("mine")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").touch()
    with pytest.raises(AlreadyExists, match="is not overwritten"):
        export(shelf, tmp_path / "set.csv", form="csv")
    with pytest.raises(AlreadyExists):
        export(shelf, tmp_path / "set", form="folder")
    assert (tmp_path / "set.csv").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["set", "set.csv"]


@pytest.mark.parametrize(
    ("form", "name"), [("folder", "set"), ("coco", "set"), ("csv", "set.csv"), ("parquet", "s.pq")]
)
def test_an_export_that_is_broken_off_leaves_nothing(shelf: Library, tmp_path: Path, form: Any, name: str) -> None:
    def stop(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_labels(shelf, "colours", tmp_path / name, ExportOptions(form=form), on_progress=stop)
    assert os.listdir(tmp_path) == []


def test_a_dry_run_counts_and_writes_nothing(shelf: Library, tmp_path: Path) -> None:
    tried = export(shelf, tmp_path / "set", form="folder", dry_run=True)
    assert os.listdir(tmp_path) == []
    done = export(shelf, tmp_path / "set", form="folder")
    same = {"dry_run": True, "seconds": 0.0}
    assert tried.model_copy(update=same) == done.model_copy(update=same)


def test_filters_say_which_images_are_exported(shelf: Library, tmp_path: Path) -> None:
    filters = Filters(path_glob="*/000[0-4].png")
    report = export_labels(shelf, "colours", tmp_path / "set.csv", ExportOptions(form="csv"), filters=filters)
    assert report.images == report.labelled == 5


def test_events_without_a_set_bear_the_five_best_of_everyday_words(shelf: Library, tmp_path: Path) -> None:
    report = export(shelf, tmp_path / "events", None, form="cloudevents", embeddings=True)
    assert report.label_set == "builtin:objects"
    events = lines(tmp_path / "events" / "events.jsonl")
    assert len(events) == PICTURES
    for event in events:
        assert len(event["data"]["metadata"]["keywords"]) == 5
        told = event["data"]["metadata"]["properties"]["attrs"]["embeddings"]
        assert len(json.loads(Path(told["vectors"].removeprefix("file://")).read_text())) == told["dimensions"]


def test_sidecars_lie_beside_the_images_and_a_second_export_changes_nothing(shown: Library, photos: Path) -> None:
    before = {file.name: file.read_bytes() for file in photos.iterdir()}
    report = export(shown, None, form="xmp")
    assert report.sidecars == {"written": PICTURES, "unchanged": 0}
    assert {name: (photos / name).read_bytes() for name in before} == before
    assert len(list(photos.glob("*.png.xmp"))) == PICTURES
    assert export(shown, None, form="xmp").sidecars == {"written": 0, "unchanged": PICTURES}
    label = f"colours|{lines_of_labels(shown)[0]}"
    assert label in (photos / "0000.png.xmp").read_text(encoding="utf-8")


def lines_of_labels(library: Library) -> list[str]:
    return [json.loads(line)["label"] for line in export_lines(library, "colours", ExportOptions(form="jsonl"))]


def test_a_sidecar_that_cannot_be_read_is_named_and_left(shown: Library, photos: Path) -> None:
    (photos / "0000.png.xmp").write_text("<!DOCTYPE x><x/>")
    report = export(shown, None, form="xmp")
    assert [(one.uri, one.code) for one in report.failed] == [(str(photos / "0000.png"), "sidecar")]
    assert report.sidecars["written"] == PICTURES - 1
    assert (photos / "0000.png.xmp").read_text() == "<!DOCTYPE x><x/>"


def test_lines_come_one_by_one_and_refusals_at_once(shelf: Library) -> None:
    found = export_lines(shelf, "colours", ExportOptions(form="csv"))
    assert next(csv.reader([next(found)]))[0] == "uri"
    assert len(list(found)) == PICTURES
    with pytest.raises(LabelSetNotFound):
        export_lines(shelf, "none", ExportOptions(form="csv"))
    with pytest.raises(InvalidInput, match="line by line"):
        export_lines(shelf, "colours", ExportOptions(form="parquet"))


@pytest.mark.parametrize(
    "wishes",
    [
        {"form": "tar"},
        {"form": "csv", "embeddings": True},
        {"form": "csv", "placement": "copy"},
        {"form": "csv", "min_probability": 1.5},
    ],
)
def test_wishes_that_do_not_go_together_are_refused(wishes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ExportOptions(**wishes)


def test_an_empty_collection_makes_an_empty_dataset(library: Library, photos: Path, tmp_path: Path) -> None:
    draw_many(photos, 1)
    index(library, photos)
    keep(library)
    nothing = Filters(path_glob="nowhere/*")
    report = export_labels(library, "colours", tmp_path / "set", ExportOptions(), filters=nothing)
    assert report.images == 0
    assert [one.name for one in (tmp_path / "set").iterdir()] == ["dataset.json"]


def test_the_python_door_exports_as_well(shelf: Library, tmp_path: Path) -> None:
    report = OpenLibrary(shelf).export("colours", tmp_path / "set.csv", form="csv", split=(1, 1, 0), seed=2)
    assert report.labelled == PICTURES
    assert report.parts.keys() == {"train", "valid"}


def test_an_export_is_the_same_on_every_database(any_library: Library, photos: Path, tmp_path: Path) -> None:
    draw_many(photos, 6)
    index(any_library, photos)
    keep(any_library)
    tag_collection(any_library, "colours")
    review(any_library, stored(any_library)[0], "blue")
    report = export(any_library, tmp_path / "set.parquet", form="parquet")
    assert (report.reviewed, report.from_tags, report.labelled) == (1, 5, 6)
    assert pq.read_table(tmp_path / "set.parquet").column("label").to_pylist()[0] == "blue"


# Stays in the middle: all pictures are linked, and the folder has not taken its place.
_SLOWLY = """
import sys, time
from pathlib import Path
from clipsearch.config import read_settings
from clipsearch.exporting import ExportOptions, export_labels
from clipsearch.library import Library
def stay(done, total):
    print(done, flush=True)
    time.sleep(60)
with Library.open(read_settings(data_dir=Path(sys.argv[1]))) as library:
    export_labels(library, "colours", Path(sys.argv[2]), ExportOptions(), on_progress=stay)
"""


@pytest.mark.faults
def test_a_killed_export_leaves_its_place_empty_and_can_be_done_again(shown: Library, tmp_path: Path) -> None:
    tag_collection(shown, "colours")  # so that the other process needs no model
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "set"
    command = [sys.executable, "-c", _SLOWLY, str(shown.settings.data_dir), str(target)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{PICTURES}\n"
        (half,) = target.parent.iterdir()
        assert half.name.startswith(".set.partial-")
        assert len(list(half.rglob("*.png"))) == PICTURES
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    assert not target.exists()
    export(shown, target)
    assert len(list(target.rglob("*.png"))) == PICTURES


def test_labels_of_one_version_are_written_though_the_set_changes_meanwhile(
    shown: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.exporting.sources.BLOCK", 8)
    tag_collection(shown, "colours")
    before = list(export_lines(shown, "colours", ExportOptions(form="jsonl")))
    names = [json.loads(line)["label"] for line in before]
    assert len(set(names)) > 1
    for other in (NAMES[::-1], ("a", "b", "c", "d", "e", *NAMES)):
        keep(shown)
        tag_collection(shown, "colours")
        rest = export_lines(shown, "colours", ExportOptions(form="jsonl"))
        written = [next(rest) for _ in range(8)]
        keep(shown, LabelSet(labels=tuple(Label(name=name) for name in other), templates=("a {} thing",)))
        tag_collection(shown, "colours")
        written += list(rest)
        assert [json.loads(line)["label"] for line in written] == names


def test_a_set_that_changes_before_its_tags_are_looked_for_is_exported_as_it_was(
    shown: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    export(shown, tmp_path / "model.jsonl", form="jsonl")
    tag_collection(shown, "colours")
    name = "clipsearch.exporting.sources.tagging_states"

    def changed(_earlier: Any, *given: Any) -> Any:
        monkeypatch.setattr(name, tagging_states)
        keep(shown, LabelSet(labels=COLOURS.labels[::-1], templates=COLOURS.templates))
        tag_collection(shown, "colours")
        with shown.database.read() as connection:
            return tagging_states(connection, *given)

    monkeypatch.setattr(name, changed)
    report = export(shown, tmp_path / "set.jsonl", form="jsonl")
    assert (report.from_tags, report.classified) == (0, PICTURES)
    one, two = lines(tmp_path / "model.jsonl"), lines(tmp_path / "set.jsonl")
    assert [row["label"] for row in one] == [row["label"] for row in two]


@pytest.mark.parametrize(("form", "name"), [("folder", "pets"), ("csv", "pets.csv")])
def test_the_folders_above_a_target_are_made_and_go_again_where_nothing_was_written(
    shelf: Library, tmp_path: Path, form: Any, name: str
) -> None:
    target = tmp_path / "datasets" / "mine" / name
    export(shelf, target, form=form, dry_run=True)
    assert os.listdir(tmp_path) == []

    def stop(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_labels(shelf, "colours", target, ExportOptions(form=form), on_progress=stop)
    assert os.listdir(tmp_path) == []
    export(shelf, target, form=form)
    assert target.exists()


def test_a_file_in_the_way_of_a_folder_above_the_target_is_named(shelf: Library, tmp_path: Path) -> None:
    (tmp_path / "datasets").write_text("mine")
    with pytest.raises(InvalidInput, match="datasets"):
        export(shelf, tmp_path / "datasets" / "mine" / "pets", form="folder")
