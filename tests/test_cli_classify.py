from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli_fixtures import PICTURES, STRANGE, Shelf, indexed_shelf

from clipsearch.answers import ClassifyAnswer, ImportReport, LabelSetInfo


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


def test_one_picture_is_told_with_its_probabilities(shelf: Shelf) -> None:
    done = shelf.call("classify", shelf.pictures / "picture-0.png", "--labels", "cat,dog", "--label", "a hat, red")
    assert done.code == 0
    lines = done.text.splitlines()
    assert lines[0] == str(shelf.pictures / "picture-0.png")
    assert lines[1].split() == ["label", "probability", "score", "margin"]
    assert {line.split("  ")[0] for line in lines[2:]} == {"cat", "dog", "a hat, red"}


def test_the_json_answer_is_that_of_the_api(shelf: Shelf) -> None:
    done = shelf.call(
        "classify", shelf.pictures / "picture-0.png", "--labels", "cat, dog", "--template", "{}!", "--json"
    )
    answer = ClassifyAnswer.model_validate(done.answer)
    assert answer.templates == ["{}!"]
    assert sum(one.probability for one in answer.results[0].predictions) == pytest.approx(1.0)


def test_a_folder_stands_for_its_pictures_and_bad_ones_are_named(shelf: Shelf) -> None:
    done = shelf.call("classify", shelf.pictures, shelf.pictures / "picture-0.png", "--labels", "cat,dog", "--json")
    assert done.code == 0
    answer = ClassifyAnswer.model_validate(done.answer)
    assert len(answer.results) == PICTURES + 1
    assert [one.uri for one in answer.failed] == [str(shelf.pictures / "damaged.jpg")]
    assert "1 picture could not be classified" in done.err


def test_where_no_picture_can_be_read_the_exit_code_is_one(shelf: Shelf, tmp_path: Path) -> None:
    done = shelf.call(
        "classify", shelf.pictures / "damaged.jpg", tmp_path / "none.jpg", "--labels", "cat,dog", "--json"
    )
    assert done.code == 1
    answer = ClassifyAnswer.model_validate(done.answer)
    assert [one.uri for one in answer.failed] == [str(shelf.pictures / "damaged.jpg"), str(tmp_path / "none.jpg")]
    assert answer.results == []


def test_a_folder_without_pictures_is_exit_code_three(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.call("classify", tmp_path, "--labels", "cat,dog").code == 3


def test_what_is_stored_is_classified_with_a_stored_set(shelf: Shelf) -> None:
    assert shelf.call("labels", "create", "pets", "cat", "dog", "fish", "--replace").code == 0
    every = ClassifyAnswer.model_validate(
        shelf.call("classify", "--stored", "--label-set", "pets", "--all", "--json").answer
    )
    assert len(every.results) == PICTURES + 1
    assert every.label_set == "pets"
    assert all(len(one.predictions) == 3 for one in every.results)
    some = shelf.call("classify", "--format", "png", "--label-set", "pets", "--top", "1", "--json").answer
    assert len(some["results"]) == PICTURES
    named = shelf.call("classify", "-c", "default", "--label-set", "pets", "--json").answer
    assert len(named["results"]) == PICTURES + 1
    assert shelf.call("classify", "--format", "GIF", "--label-set", "pets").code == 3


def test_csv_has_a_line_for_each_image_and_label(shelf: Shelf) -> None:
    done = shelf.call("classify", "--stored", "--labels", "cat,dog", "--csv")
    assert done.code == 0
    rows = list(csv.DictReader(io.StringIO(done.out.decode("utf-8", "surrogateescape"), newline="")))
    assert len(rows) == 2 * (PICTURES + 1)
    assert {row["label"] for row in rows} == {"cat", "dog"}
    strange = os.fsencode(shelf.pictures) + b"/" + STRANGE
    assert strange in {os.fsencode(row["file"]) for row in rows}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x.jpg",), "say what to choose from"),
        (("--labels", "cat,dog"), "--stored"),
        (("x.jpg", "--stored", "--labels", "cat,dog"), "not both"),
        (("x.jpg", "--labels", "cat,dog", "--label-set", "pets"), "give either label sets or labels"),
        (("x.jpg", "--label-set", "pets", "--template", "{}"), "--template go with --labels"),
        (("x.jpg", "--labels", "cat,dog", "--json", "--csv"), "do not go together"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(shelf: Shelf, arguments: tuple[str, ...], words: str) -> None:
    done = shelf.call("classify", *arguments)
    assert done.code == 2
    assert words in done.err


def test_one_label_is_no_choice(shelf: Shelf) -> None:
    done = shelf.call("classify", "x.jpg", "--labels", "cat")
    assert done.code == 1
    assert "at least two labels" in done.err


def test_label_sets_are_made_shown_replaced_and_deleted(shelf: Shelf, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path)
    made = shelf.call(
        "labels", "create", "sky", "clear", "cloudy", "dark", "--prompt", "clear=a blue sky", "--prompt", "clear=sun",
        "--prompt", "dark=a night sky", "--template", "a photo of {}", "--template", "{}", "--json", *here,
    )  # fmt: skip
    info = LabelSetInfo.model_validate(made.answer)
    assert [(one.name, one.prompts) for one in info.labels] == [
        ("clear", ["a blue sky", "sun"]),
        ("cloudy", ["cloudy"]),
        ("dark", ["a night sky"]),
    ]
    assert info.templates == ["a photo of {}", "{}"]
    again = shelf.call("labels", "create", "sky", "a", "b", *here)
    assert again.code == 1
    assert "--replace" in again.err
    assert shelf.call("labels", "create", "sky", "a", "b", "--replace", "--json", *here).answer["version"] == 2
    assert "sky, version 2" in shelf.call("labels", "show", "sky", *here).text
    assert [one["name"] for one in shelf.call("labels", "list", "--json", *here).answer["label_sets"]] == ["sky"]
    refused = shelf.call("labels", "delete", "sky", *here)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert shelf.call("labels", "delete", "sky", "--yes", *here).code == 0
    assert shelf.call("labels", "show", "sky", *here).code == 1


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("set.yaml", "templates: ['a {}']\nlabels: {cat: [a cat, a kitten], dog: }", ()),
        ("set.json", '{"templates": ["a {}"], "labels": {"cat": ["a cat", "a kitten"], "dog": null}}', ()),
        ("set.csv", "label,prompt\ncat,a cat,a kitten\ndog\n", ("--template", "a {}")),
        (
            "set.data",
            '{"templates": ["a {}"], "labels": {"cat": ["a cat", "a kitten"], "dog": []}}',
            ("--form", "json"),
        ),
        ("-", '{"templates": ["a {}"], "labels": {"cat": ["a cat", "a kitten"], "dog": []}}', ()),
        ("-", "dog\ncat\n", ("--template", "a {}", "--prompt", "cat=a cat", "--prompt", "cat=a kitten")),
    ],
)
def test_label_sets_come_from_files_and_stdin(
    shelf: Shelf, tmp_path: Path, name: str, content: str, more: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(content)
    source = name if name == "-" else tmp_path / name
    done = shelf.call("labels", "create", "pets", "--file", source, *more, "--json", "--data-dir", tmp_path / "library",
                      stdin=content.encode())  # fmt: skip
    info = LabelSetInfo.model_validate(done.answer)
    assert {one.name: one.prompts for one in info.labels} == {"cat": ["a cat", "a kitten"], "dog": ["dog"]}
    assert info.templates == ["a {}"]


def test_a_prompt_without_its_label_is_a_usage_error(shelf: Shelf) -> None:
    for prompt in ("a kitten", "=a kitten", "cat="):
        assert shelf.call("labels", "create", "pets", "cat", "dog", "--prompt", prompt).code == 2
    assert shelf.call("labels", "create", "pets").code == 2


def test_embeddings_of_images_and_labels_are_taken_over(shelf: Shelf, tmp_path: Path) -> None:
    rows = np.eye(3, 8, dtype=np.float32)
    rows[2] = [1, 1, 0, 0, 0, 0, 0, 0]
    np.save(tmp_path / "images.npy", rows)
    np.save(tmp_path / "colours.npy", rows[:2])
    (tmp_path / "images.json").write_text(json.dumps(["a/red.jpg", "s3://b/blue.jpg", "mixed"]))
    (tmp_path / "colours.json").write_text(json.dumps(["red", "blue"]))
    here = ("--data-dir", tmp_path / "library", "--json")
    model = ("--model", "ViT-B-32/openai", "--logit-scale", "100", "--logit-bias", "0")
    done = shelf.call(
        "import", "embeddings", tmp_path / "images.npy", "--names", tmp_path / "images.json", *model, *here
    )
    assert ImportReport.model_validate(done.answer).imported == 3
    done = shelf.call("labels", "import", tmp_path / "colours.npy", "--names", tmp_path / "colours.json", *model, *here)
    assert ImportReport.model_validate(done.answer).label_set == "colours"
    answer = shelf.call("classify", "--stored", "--label-set", "colours", *here).answer
    assert [one["label"] for one in answer["results"][:2]] == ["red", "blue"]
    assert answer["results"][0]["predictions"][0]["logit"] == pytest.approx(100.0, rel=1e-3)
    assert answer["results"][2]["predictions"][0]["probability"] == pytest.approx(0.5)
    paths = shelf.call("similar", "1", "--data-dir", tmp_path / "library", "--paths-only")
    assert set(paths.out.splitlines()) == {b"mixed", b"s3://b/blue.jpg"}
    assert shelf.call("similar", "s3://b/blue.jpg", *here).answer["hits"][0]["image"]["uri"] == "mixed"
    again = ("labels", "import", tmp_path / "colours.npy", "--names", tmp_path / "colours.json", *model, *here)
    assert shelf.call(*again).code == 1
    assert shelf.call(*again, "--replace").code == 0
    assert shelf.call(*again, "--name", "hues", "--template", "a {} thing").answer["label_set"] == "hues"
