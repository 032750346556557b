"""Labels over HTTP: lines that are computed while they are sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_fixtures import API, PICTURES, Site, checked, small_site

from clipsearch.database.label_sets import save_label_set
from clipsearch.encoder import Encoder
from clipsearch.label_set import Label, LabelSet
from clipsearch.web.slots import WorkSlots

EXPORT = f"{API}/collections/default/export"
COLOURS = LabelSet(labels=(Label(name="red"), Label(name="grün, blau")), templates=("a {} thing",))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    with small_site(tmp_path_factory.mktemp("export"), shared_encoder) as opened:
        with opened.library.database.write() as connection:
            save_label_set(connection, "colours", COLOURS)
        yield opened


def test_csv_comes_with_a_line_for_each_image(site: Site) -> None:
    answer = checked(site).get(f"{EXPORT}?label_set=colours")
    assert answer.status_code == 200
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="labels.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))
    assert len(rows) == PICTURES
    assert {row["label"] for row in rows} <= {"red", "grün, blau"}
    assert all(row["part"] in {"train", "valid", "test"} for row in rows)


def test_lines_of_json_obey_filters_floor_and_split(site: Site) -> None:
    answer = checked(site).get(f"{EXPORT}?label_set=colours&format=jsonl&path_glob=*/000[12].png&split=false"
                               "&min_probability=1&keep_rejected=true")  # fmt: skip
    rows = [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]
    assert [Path(row["uri"]).name for row in rows] == ["0001.png", "0002.png"]
    assert {(row["part"], row["label"], row["rejected"]) for row in rows} == {(None, None, "probability")}


def test_events_need_no_label_set(site: Site) -> None:
    answer = checked(site).get(f"{EXPORT}?format=cloudevents&top=3")
    events = [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]
    assert len(events) == PICTURES
    assert all(len(event["data"]["metadata"]["keywords"]) == 3 for event in events)


def test_an_answer_is_whole_also_where_it_is_computed_in_pieces(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = site.client.get(f"{EXPORT}?label_set=colours").data
    monkeypatch.setattr("clipsearch.web.api.export.LINES", 2)
    answer = site.client.get(f"{EXPORT}?label_set=colours")
    assert len(list(answer.iter_encoded())) > 2
    assert site.client.get(f"{EXPORT}?label_set=colours").data == whole


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),  # no label set
        ("?label_set=none", 404),
        ("?label_set=colours&format=folder", 422),
        ("?label_set=colours&train=-1", 422),
        ("?label_set=colours&train=0&valid=0&test=0", 400),
        ("?label_set=colours&embeddings=true", 400),
        ("?label_set=colours&by=category", 400),
        ("?label_set=colours&format=cloudevents&embeddings=true", 400),
    ],
)
def test_what_cannot_be_exported_is_refused_before_the_first_line(site: Site, query: str, status: int) -> None:
    answer = checked(site).get(EXPORT + query)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


def test_no_slot_is_held_while_lines_are_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.web.api.export.LINES", 1)
    held = site.app.extensions["clipsearch"]
    assert isinstance(held.slots, WorkSlots)
    pieces = site.client.get(f"{EXPORT}?label_set=colours", buffered=False).iter_encoded()
    next(pieces)
    with held.slots.taken(), held.slots.taken(), held.slots.taken(), held.slots.taken():
        pass  # all four are free
    assert len(list(pieces)) == PICTURES
