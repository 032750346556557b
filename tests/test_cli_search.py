from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli_fixtures import PICTURES, STRANGE, Outcome, Shelf, call, indexed_shelf
from PIL import Image as PILImage

from clipsearch.answers import Hit, SearchAnswer
from clipsearch.cli.terms import filters_from, image_named, term_of, weighted_term
from clipsearch.errors import NotFound

DIMENSION = 24


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def vector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A direction to search in that needs no model."""
    path = tmp_path_factory.mktemp("vectors") / "one.json"
    path.write_text(json.dumps(np.random.default_rng(3).normal(size=DIMENSION).tolist()))
    return path


def uris(done: Outcome) -> list[str]:
    assert done.code == 0, done.err
    return [hit.image.uri for hit in SearchAnswer.model_validate(done.answer).hits]


def test_the_json_answer_is_that_of_the_api(shelf: Shelf) -> None:
    done = shelf.call("search", "a red boat", "--json", "-k", "3")
    answer = SearchAnswer.model_validate(done.answer)
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
    assert done.err == ""


def test_ndjson_is_one_hit_a_line(shelf: Shelf) -> None:
    done = shelf.call("search", "a red boat", "--ndjson", "--top", "3")
    hits = [Hit.model_validate_json(line) for line in done.out.splitlines()]
    whole = SearchAnswer.model_validate(shelf.call("search", "a red boat", "--json", "-k", "3").answer)
    assert hits == whole.hits


def test_people_get_a_table_of_rank_score_id_and_file(shelf: Shelf) -> None:
    done = shelf.call("search", "a red boat", "-k", "20")
    lines = done.text.splitlines()
    assert lines[0].split() == ["rank", "score", "id", "file"]
    assert len(lines) == 1 + PICTURES + 1
    assert "\x1b" not in done.text, "a file's name must not drive the terminal"


def test_a_picture_finds_itself_first(shelf: Shelf) -> None:
    picture = shelf.pictures / "picture-3.png"
    for arguments in ((picture,), ("--image", picture), ("--text", "boat", "--image", picture, "--minus", "boat")):
        answer = SearchAnswer.model_validate(shelf.call("search", *arguments, "--json").answer)
        assert answer.hits[0].image.uri == str(picture)
        assert answer.hits[0].score > 0.999


def test_a_picture_may_come_on_stdin(shelf: Shelf) -> None:
    data = (shelf.pictures / "picture-4.png").read_bytes()
    assert uris(shelf.call("search", "-", "--json", stdin=data))[0] == str(shelf.pictures / "picture-4.png")


def test_a_stored_image_is_found_by_id_and_by_path_and_leaves_itself_out(shelf: Shelf) -> None:
    picture = str(shelf.pictures / "picture-2.png")
    number = shelf.call("images", "show", picture, "--json").answer["id"]
    by_id = uris(shelf.call("similar", str(number), "--json"))
    assert len(by_id) == PICTURES
    assert picture not in by_id
    assert by_id == uris(shelf.call("similar", picture, "--json"))
    assert by_id == uris(shelf.call("search", "--stored", picture, "--json"))


def test_an_image_whose_name_is_not_unicode_is_found_by_its_path(shelf: Shelf) -> None:
    path = os.fsencode(shelf.pictures) + b"/" + STRANGE
    assert len(uris(shelf.call("similar", path, "--json"))) == PICTURES
    assert shelf.call("images", "show", path, "--json").answer["uri"].startswith("file:///")


def test_what_is_similar_needs_no_torch(shelf: Shelf) -> None:
    done = shelf.spawn("similar", "1", "--json", python=("-X", "importtime"))
    assert done.code == 0
    assert "faiss" in done.err
    assert " torch\n" not in done.err


def test_a_vector_comes_from_npy_or_json(shelf: Shelf, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(3, DIMENSION)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "one.npy", rows[1])
    (tmp_path / "one.json").write_text(json.dumps(rows[1].tolist()))
    by_row = uris(shelf.call("search", "--vector", f"{tmp_path}/rows.npy:1", "--json"))
    assert by_row == uris(shelf.call("search", "--vector", tmp_path / "one.npy", "--json"))
    assert by_row == uris(shelf.call("search", "--vector", tmp_path / "one.json", "--json"))


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("rows.npy", 1, "holds 3 rows; say which one"),
        ("rows.npy:3", 1, "the last one is"),
        ("short.npy", 1, "the vector has 7 dimensions"),
        ("text.json", 1, "neither an .npy file nor JSON"),
        ("object.json", 2, "--vector: input should be a valid tuple"),
        ("nan.json", 2, "--vector: input should be a finite number"),
        ("none.npy", 1, "there is no file"),
    ],
)
def test_a_vector_that_cannot_be_used_is_refused(
    shelf: Shelf, tmp_path: Path, name: str, code: int, words: str
) -> None:
    np.save(tmp_path / "rows.npy", np.ones((3, DIMENSION)))
    np.save(tmp_path / "short.npy", np.ones(7))
    (tmp_path / "text.json").write_text("boat")
    (tmp_path / "object.json").write_text('{"a": 1}')
    (tmp_path / "nan.json").write_text("[NaN, 1]")
    done = shelf.call("search", "--vector", tmp_path / name)
    assert done.code == code
    assert words in done.err


def test_paths_are_printed_byte_for_byte(shelf: Shelf, vector: Path) -> None:
    strange = os.fsencode(shelf.pictures) + b"/" + STRANGE
    done = shelf.call("search", "--vector", vector, "--print0")
    paths = done.out.split(b"\0")
    assert paths.pop() == b""
    assert len(paths) == PICTURES + 1
    assert strange in paths
    assert all(os.path.exists(path) for path in paths)
    lines = shelf.call("search", "--vector", vector, "--paths-only", "--glob", "picture-*").out.splitlines()
    assert set(lines) == set(paths) - {strange}


def test_print0_reaches_a_pipe_as_it_is(shelf: Shelf) -> None:
    done = shelf.spawn("images", "list", "--print0")
    assert os.fsencode(shelf.pictures) + b"/" + STRANGE + b"\0" in done.out


def test_a_sheet_of_the_pictures_is_written(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("search", "boat", "--sheet", tmp_path / "sheet.png", "--json", "-k", "4")
    assert len(uris(done)) == 4
    assert f"contact sheet: {tmp_path / 'sheet.png'}" in done.err
    with PILImage.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1_000
    refused = shelf.call("search", "boat", "--sheet", tmp_path / "sheet.txt")
    assert refused.code == 1
    assert ".jpg, .png or .webp" in refused.err


def test_nothing_found_is_exit_code_three_and_says_why(shelf: Shelf, vector: Path) -> None:
    for options, why in (
        (("--min-score", "0.9999"), "no image reaches the score"),
        (("--format", "GIF"), "no image of the collection passes the filters"),
        (("--offset", "100"), "there are no more images"),
    ):
        for form in ((), ("--json",), ("--ndjson",), ("--paths-only",)):
            done = shelf.call("search", "--vector", vector, *options, *form)
            assert done.code == 3
            assert why in done.err
            assert (SearchAnswer.model_validate(done.answer).hits == []) if form == ("--json",) else done.out == b""


def test_a_search_where_nothing_was_indexed_names_the_command(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call("search", "boat", "--data-dir", tmp_path)
    assert done.code == 1
    assert f"clipsearch --data-dir {tmp_path} index FOLDER" in done.err


def test_filters_narrow_the_answer(shelf: Shelf, vector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pngs = {str(shelf.pictures / f"picture-{number}.png") for number in range(PICTURES)}
    monkeypatch.chdir(shelf.folder)
    for options in (
        ("--format", "png"),
        ("--format", "gif,png"),
        ("--glob", "picture-?.png"),
        ("--path-prefix", "./pictures/picture"),
        ("--path-prefix", shelf.pictures / "picture"),
        ("--max-width", "50", "--min-height", "40"),
    ):
        assert set(uris(shelf.call("search", "--vector", vector, "--json", *options))) == pngs
    done = shelf.call("search", "--vector", vector, "--json", "--from", "2020-01-01", "--path-prefix", "pictures/")
    assert set(uris(done)) == pngs  # the strange one's uri begins with file://
    assert shelf.call("search", "--vector", vector, "--to", "2020-01-01").code == 3


def test_unlike_pictures_are_no_duplicates(shelf: Shelf, vector: Path) -> None:
    done = shelf.call("search", "--vector", vector, "--collapse-duplicates", "--exact", "--json")
    assert len(uris(done)) == PICTURES + 1


def test_relevance_is_told_when_it_is_asked_for(shelf: Shelf) -> None:
    plain = SearchAnswer.model_validate(shelf.call("search", "a red boat", "--json").answer)
    assert {hit.relevance for hit in plain.hits} == {None}
    told = SearchAnswer.model_validate(shelf.call("search", "a red boat", "--json", "--relevance").answer)
    assert [hit.image.id for hit in told.hits] == [hit.image.id for hit in plain.hits]
    assert all(hit.relevance is not None and 0 <= hit.relevance <= 1 for hit in told.hits)
    assert told.cut is None
    table = shelf.call("search", "a red boat", "--relevance").text.splitlines()
    assert table[0].split() == ["rank", "score", "relevance", "id", "file"]


def test_what_does_not_match_is_left_out_and_nothing_is_an_answer(shelf: Shelf) -> None:
    done = shelf.call("search", "a red boat", "--min-relevance", "1", "--json")
    answer = SearchAnswer.model_validate(done.answer)
    assert (done.code, answer.hits) == (3, [])
    assert answer.cut is not None
    assert (answer.cut.min_relevance, answer.cut.min_score, answer.cut.left_out) == (1, None, True)
    assert "nothing matches: the best image has a relevance of" in done.err
    kept = SearchAnswer.model_validate(shelf.call("search", "a red boat", "--auto-cut", "--json").answer)
    whole = SearchAnswer.model_validate(shelf.call("search", "a red boat", "--relevance", "--json").answer)
    assert kept.hits == [hit for hit in whole.hits if (hit.relevance or 0) >= 0.5]


def test_offset_goes_on_where_the_first_page_ended(shelf: Shelf, vector: Path) -> None:
    whole = uris(shelf.call("search", "--vector", vector, "--json"))
    assert uris(shelf.call("search", "--vector", vector, "--json", "-k", "2", "--offset", "3")) == whole[3:5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to look for"),
        (("boat", "-k", "0"), "--top: input should be greater than or equal to 1"),
        (("boat", "-k", "1001"), "--top: "),
        (("boat", "-k", "many"), "'many' is not a valid integer"),
        (("boat", "--offset", "9999"), "offset + k must not exceed"),
        (("boat", "--min-score", "2"), "--min-score: "),
        (("boat", "--min-score", "nan"), "--min-score: "),
        (("boat", "--min-relevance", "1.5"), "--min-relevance: "),
        (("boat", "--from", "yesterday"), "--from: "),
        (("boat", "--min-width", "-5"), "--min-width: "),
        (("boat", "--plus", "1000:night"), "the weight: "),
        (("boat", "--json", "--ndjson"), "--json and --ndjson do not go together"),
        (("boat", "--json", "--print0"), "do not go together"),
        ((b"boat \xff",), "the text: input should be a valid string"),
        (("/",), "is a folder"),
        (("boat", "night"), "unexpected extra argument"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(tmp_path: Path, arguments: tuple[str | bytes, ...], words: str) -> None:
    done = call("search", *arguments, "--data-dir", tmp_path / "library")
    assert done.code == 2
    assert words in done.err
    assert done.out == b""
    assert not (tmp_path / "library").exists(), "a wrong question must not make a library"


def test_a_picture_that_is_not_there_is_an_error_and_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for argument in ("./boat.jpg", "../boat.jpg", "/boat.jpg", "~/no-such-boat.jpg"):
        with pytest.raises(NotFound, match="there is no file"):
            term_of(argument)
    assert term_of("boat.jpg").text == "boat.jpg"
    (tmp_path / "boat.jpg").touch()
    assert term_of("boat.jpg").image == Path("boat.jpg")
    assert term_of("a boat/a ship").text == "a boat/a ship"
    assert term_of("x" * 5_000).text == "x" * 5_000


def test_a_weight_stands_before_a_term(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.jpg").touch()
    (tmp_path / "2:pool.jpg").touch()
    assert (weighted_term("2:golden retriever", 1.0).text, weighted_term("2:a: b", 1.0).weight) == (
        "golden retriever",
        2.0,
    )
    assert weighted_term("0.5:./pool.jpg", -1.0).weight == -0.5
    assert weighted_term("0.5:./pool.jpg", -1.0).image == Path("./pool.jpg")
    assert weighted_term("2:pool.jpg", 1.0).image == Path("2:pool.jpg")
    assert weighted_term("night", -1.0).weight == -1.0
    assert weighted_term("ratio 2:3", 1.0).text == "ratio 2:3"


def test_an_image_is_named_by_number_uri_or_path() -> None:
    assert image_named("17") == 17
    assert image_named("./17") == "./17"
    assert image_named("s3://bucket/17") == "s3://bucket/17"
    assert image_named(os.fsdecode(b"/a\xff.jpg")) == "file:///a%FF.jpg"


def test_prefixes_that_are_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday").mkdir()
    for given, meant in (
        ("holiday", f"{tmp_path}/holiday"),
        ("./holiday/", f"{tmp_path}/holiday/"),
        ("/", "/"),
        ("imported-", "imported-"),
        ("s3://bucket/", "s3://bucket/"),
    ):
        assert filters_from(path_prefix=given).path_prefix == meant
    assert filters_from(path_glob="./*.jpg").path_glob == f"{tmp_path}/*.jpg"
