"""Grouping of hits by folder, date, format and tag."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_fixtures import indexed_shelf
from pydantic import ValidationError
from search_fixtures import PICTURES, Shelves, filled_shelves, names
from web_fixtures import API

from clipsearch.answers import SearchAnswer
from clipsearch.browsing import list_images
from clipsearch.classifying import classify_stored
from clipsearch.encoder import Encoder
from clipsearch.errors import Conflict, LabelSetNotFound
from clipsearch.label_files import draft_of
from clipsearch.labelling import save_label_set
from clipsearch.queries import Filters, Labels, Query, Term
from clipsearch.tagging import tag_collection
from clipsearch.web import create_app

LABELS = tuple((name, (name,)) for name in ("cat", "dog", "boat", "house"))


@pytest.fixture(scope="module")
def shelves(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, shared_encoder: Encoder
) -> Iterator[Shelves]:
    with filled_shelves(tmp_path_factory.mktemp("groups"), migrated_file, shared_encoder) as found:
        save_label_set(found.library, "things", draft_of(LABELS))
        tag_collection(found.library, "things")
        save_label_set(found.library, "untagged", draft_of(LABELS))
        yield found


def told(answer: SearchAnswer) -> list[tuple[str, int]]:
    return [(one.key, one.images) for one in answer.groups or ()]


def check_groups(shelves: Shelves, answer: SearchAnswer, size: int) -> None:
    """What holds of all answers with groups: order, sizes, and that hits and groups say the same."""
    plain = shelves.ask(k=PICTURES).hits
    assert answer.groups is not None
    best = {hit.image.id: hit.rank for hit in plain}
    leading = [best[group.hits[0]] for group in answer.groups]
    assert leading == sorted(leading)
    assert [number for group in answer.groups for number in group.hits] == [hit.image.id for hit in answer.hits]
    for group in answer.groups:
        mine = [hit for hit in answer.hits if hit.group == group.key]
        assert [hit.image.id for hit in mine] == group.hits
        assert [hit.rank for hit in mine] == sorted(hit.rank for hit in mine)
        assert len(mine) == min(size, group.images)


def test_groups_by_folder_are_led_by_their_best_hit(shelves: Shelves) -> None:
    answer = shelves.ask(group_by="folder", group_size=4)
    check_groups(shelves, answer, 4)
    assert dict(told(answer)) == {str(shelves.photos / "2023"): 15, str(shelves.photos / "2024"): 25}
    assert answer.window == PICTURES


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("year", {"2023": 10, "2024": 30}),
        ("month", {"2023-05": 10, "2024-01": 21, "2024-02": 9}),
        ("day", {f"2023-05-{day:02}": 1 for day in range(1, 11)} | {"2024-02-09": 1, "2024-01-31": 1}),
        ("format", {"JPEG": 15, "PNG": 25}),
    ],
)
def test_groups_by_date_and_format_hold_what_belongs_to_them(
    shelves: Shelves, by: str, expected: dict[str, int]
) -> None:
    answer = shelves.ask(group_by=by, k=50)
    check_groups(shelves, answer, 3)
    assert expected.items() <= dict(told(answer)).items()
    assert sum(images for _, images in told(answer)) == PICTURES


def test_groups_by_tag_are_those_of_the_best_label(shelves: Shelves) -> None:
    answer = shelves.ask(group_by="tag:things", group_size=50)
    check_groups(shelves, answer, 50)
    labels = classify_stored(shelves.library, Labels(label_set="things"))
    expected = Counter(one.label or "-" for one in labels.results)
    assert dict(told(answer)) == dict(expected)


def test_images_without_a_tag_are_a_group_of_their_own(shelves: Shelves) -> None:
    save_label_set(shelves.library, "strict", replace(draft_of(LABELS), min_probability=1.0))
    tag_collection(shelves.library, "strict")
    assert told(shelves.ask(group_by="tag:strict")) == [("-", PICTURES)]


def test_tags_that_there_are_not_are_said(shelves: Shelves) -> None:
    with pytest.raises(LabelSetNotFound):
        shelves.ask(group_by="tag:nothing")
    with pytest.raises(Conflict):
        shelves.ask(group_by="tag:untagged")


def test_offset_and_k_count_groups(shelves: Shelves) -> None:
    whole = shelves.ask(group_by="day", k=50, group_size=1)
    pages = [shelves.ask(group_by="day", k=15, offset=start, group_size=1) for start in (0, 15, 30, 45)]
    assert [one for page in pages for one in told(page)] == told(whole)
    assert pages[-1].hits == []
    assert pages[-1].groups == []


def test_sorted_groups_follow_their_first_image(shelves: Shelves) -> None:
    answer = shelves.ask(group_by="month", sort="newest", group_size=1)
    assert [key for key, _ in told(answer)] == ["2024-02", "2024-01", "2023-05"]
    assert names(answer) == ["39.png", "30.png", "09.jpg"]


def test_where_nothing_passes_there_are_no_groups(shelves: Shelves) -> None:
    nothing = shelves.ask(group_by="folder", filters=Filters(formats=("WEBP",)))
    assert (nothing.groups, nothing.hits) == ([], [])
    assert shelves.ask().groups is None


def test_near_duplicates_count_once_in_a_group(shelves: Shelves, tmp_path: Path) -> None:
    number = list_images(shelves.library)[0].id
    answer = shelves.ask(Term(image_id=number), group_by="folder", collapse_duplicates=True, group_size=50)
    assert sum(images for _, images in told(answer)) + sum(len(hit.duplicates) for hit in answer.hits) == PICTURES - 1


@pytest.mark.parametrize("by", ["", "folders", "tag:", "tag", "month,year"])
def test_what_one_cannot_group_by_is_refused(by: str) -> None:
    with pytest.raises(ValidationError):
        Query(terms=(Term(text="x"),), group_by=by)


# On the other doors ------------------------------------------------------------------------------------------


def test_every_way_of_asking_over_http_takes_them(shelves: Shelves) -> None:
    client = create_app(shelves.library).test_client()
    here = f"{API}/collections/default"
    first = list_images(shelves.library)[0]
    picture = (io.BytesIO((shelves.photos / "2023" / "00.jpg").read_bytes()), "a.jpg")
    options = {"sort": "oldest", "group_by": "month", "group_size": 2, "explain": True, "histogram": True}
    as_text = {name: str(value).lower() for name, value in options.items()}
    body = {"terms": [{"text": "a cat"}, {"image_id": first.id, "weight": -0.5}], **options}
    answers = [
        client.get(f"{here}/search", query_string={"text": "a cat", **as_text}),
        client.get(f"{here}/images/{first.id}/similar", query_string=as_text),
        client.post(f"{here}/search", json=body),
        client.post(f"{here}/search/image", data={"image": picture, **as_text}),
    ]
    batch = client.post(f"{here}/search/batch", json={"queries": [body]}).get_json()["answers"]
    for answer in [*(one.get_json() for one in answers), *batch]:
        found = SearchAnswer.model_validate(answer)
        assert [key for key, _ in told(found)] == ["2023-05", "2024-01", "2024-02"]
        assert len(found.hits) == 6
        assert found.histogram is not None
        for hit in found.hits:
            assert hit.terms is not None
            assert sum(one.contribution for one in hit.terms) == pytest.approx(hit.score, abs=1e-5)
    assert client.get(f"{here}/search", query_string={"text": "a", "group_by": "mood"}).status_code == 422
    assert client.get(f"{here}/search", query_string={"text": "a", "group_by": "tag:none"}).status_code == 404


def test_an_address_in_a_term_is_refused_where_nothing_may_be_fetched(shelves: Shelves) -> None:
    client = create_app(shelves.library).test_client()
    body = {"terms": [{"text": "a"}, {"image_url": "http://127.0.0.1:1/a.png"}]}
    refused = client.post(f"{API}/collections/default/search", json=body)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "not_allowed")
    both = {"terms": [{"text": "a", "image_url": "http://127.0.0.1:1/a.png"}]}
    assert client.post(f"{API}/collections/default/search", json=both).status_code == 422


def test_the_command_tells_them_to_people_and_to_programs(tmp_path_factory: pytest.TempPathFactory) -> None:
    shelf = indexed_shelf(tmp_path_factory.getbasetemp())
    options = ["--group-by", "format", "--group-size", "2", "--explain", "--histogram", "--sort", "newest"]
    answer = SearchAnswer.model_validate(
        shelf.call("search", "a cat", "--minus", "0.5:night", *options, "--json").answer
    )
    assert {key for key, _ in told(answer)} == {"PNG", "JPEG"}
    printed = shelf.call("search", "a cat", "--minus", "0.5:night", *options)
    head, *lines = printed.text.splitlines()
    assert head.split() == ["group", "rank", "score", "term", "1", "term", "2", "id", "file"]
    for line, hit in zip(lines, answer.hits, strict=True):
        assert line.split()[:2] == [hit.group, str(hit.rank)]
        assert hit.terms is not None
        assert line.split()[3:5] == [f"{one.contribution:+.3f}" for one in hit.terms]
    assert "scores of 7 images:" in printed.err
    assert printed.err.count("#") > 0
    refused = shelf.call("search", "a cat", "--group-by", "mood")
    assert refused.code in {1, 2}
    assert "group" in refused.err
