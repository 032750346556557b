"""The command line's classification in every mode: tables, lines that stream, several sets at once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, Shelf, indexed_shelf

from clipsearch.answers import Classification, ClassifyAnswer, ClassifyAnswers


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    shelf = indexed_shelf(tmp_path_factory.getbasetemp())
    for name, labels in (("modes-pets", ("cat", "dog", "fish")), ("modes-colours", ("red", "blue"))):
        assert shelf.call("labels", "create", name, *labels, "--replace").code == 0
    return shelf


@pytest.fixture
def one(shelf: Shelf) -> Path:
    return shelf.pictures / "picture-0.png"


def test_a_rejected_picture_is_told_with_a_dash_and_the_reason(shelf: Shelf, one: Path) -> None:
    done = shelf.call("classify", one, "--labels", "cat,dog", "--min-probability", "1")
    assert done.code == 0
    assert done.text.splitlines()[1] == "- (the probability is below its threshold)"
    many = shelf.call("classify", "--stored", "--labels", "cat,dog", "--min-score", "1", "--top", "2").text.splitlines()
    assert many[0].split() == ["label", "probability", "score", "margin", "file", "else"]
    assert [line[:9] for line in many[1:]] == ["- (score)"] * (PICTURES + 1)


def test_each_label_on_its_own_says_whether_it_is_there(shelf: Shelf, one: Path) -> None:
    done = shelf.call("classify", one, "--label", "cat", "--mode", "multi")
    assert done.code == 0
    lines = done.text.splitlines()
    assert lines[-2].split() == ["label", "probability", "score", "margin", "there"]
    assert lines[-1].split()[-1] in {"yes", "no"}


def test_something_else_is_a_line_of_the_table(shelf: Shelf, one: Path) -> None:
    done = shelf.call("classify", one, "--label", "cat", "--background", "dog", "--background", "boat", "--all")
    assert done.code == 0
    assert any(line.startswith("(something else)") for line in done.text.splitlines())


def test_stored_images_stream_as_lines_that_equal_the_one_answer(shelf: Shelf) -> None:
    asked = ("classify", "--stored", "--label-set", "modes-pets", "--top", "2")
    whole = ClassifyAnswer.model_validate(shelf.call(*asked, "--json").answer)
    lines = shelf.call(*asked, "--json-lines").out.splitlines()
    assert [Classification.model_validate_json(line) for line in lines] == whole.results
    text = shelf.call(*asked, "--csv").out.decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["label"] for row in rows] == [found.label for one in whole.results for found in one.predictions]
    assert [row["accepted"] for row in rows] == ["yes", "no"] * (PICTURES + 1)
    nothing = shelf.call("classify", "--format", "GIF", "--label-set", "modes-pets", "--json-lines")
    assert (nothing.code, nothing.out) == (3, b"")


def test_several_sets_stand_side_by_side_in_every_form(shelf: Shelf, one: Path) -> None:
    asked = ("classify", one, "--label-set", "modes-pets", "--label-set", "modes-colours")
    answers = ClassifyAnswers.model_validate(shelf.call(*asked, "--json").answer).answers
    assert [answer.label_set for answer in answers] == ["modes-pets", "modes-colours"]
    table = shelf.call(*asked).text.splitlines()
    assert table[0].split() == ["file", "modes-pets", "modes-colours"]
    assert all(str(answer.results[0].label) in table[1] for answer in answers)
    stored = ("classify", "--stored", "--label-set", "modes-pets", "--label-set", "modes-colours", "--top", "1")
    rows = list(
        csv.reader(io.StringIO(shelf.call(*stored, "--csv").out.decode("utf-8", "surrogateescape"), newline=""))
    )
    assert rows[0][:3] == ["label_set", "file", "rank"]
    assert [row[0] for row in rows[1:]] == ["modes-pets"] * (PICTURES + 1) + ["modes-colours"] * (PICTURES + 1)
    lines = [json.loads(line) for line in shelf.call(*stored, "--json-lines").out.splitlines()]
    assert {line["label_set"] for line in lines} == {"modes-pets", "modes-colours"}


def test_a_built_in_set_has_its_categories_summed(shelf: Shelf, one: Path) -> None:
    done = shelf.call("classify", one, "--label-set", "builtin:moderation", "--json", "--all")
    answer = ClassifyAnswer.model_validate(done.answer)
    found = answer.results[0]
    assert answer.label_set == "builtin:moderation"
    assert found.categories
    if answer.mode == "single":
        rest = sum(prediction.probability for prediction in found.predictions if prediction.position == -1)
        assert sum(share.probability for share in found.categories) + rest == pytest.approx(1.0)
    table = shelf.call("classify", one, "--label-set", "builtin:moderation").text
    assert "category" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label-set", "modes-pets", "--mode", "multi"), "--mode go with --labels"),
        (("--label-set", "modes-pets", "--background", "x"), "--background go with --labels"),
        (("--labels", "cat,dog", "--csv", "--json-lines"), "do not go together"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(shelf: Shelf, arguments: tuple[str, ...], words: str) -> None:
    done = shelf.call("classify", "x.jpg", *arguments)
    assert done.code == 2
    assert words in done.err


def test_the_help_says_how_the_collection_itself_is_classified(shelf: Shelf) -> None:
    told = " ".join(shelf.call("classify", "--help").text.split())
    assert "with --stored in its place, or a filter, the images of the collection are classified" in told
    assert shelf.call("classify", "--labels", "cat,dog").code == 2
    assert shelf.call("classify", "--stored", "--labels", "cat,dog").code == 0
    assert shelf.call("classify", "--min-width", "1", "--labels", "cat,dog").code == 0
