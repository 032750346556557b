"""Label sets on the command line: all their parts, their versions, files both ways, and those that are built in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fixtures import Shelf, call, indexed_shelf
from library_fixtures import draw

from clipsearch.answers import LabelSetInfo


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


def shown(shelf: Shelf, name: str, *more: str) -> LabelSetInfo:
    return LabelSetInfo.model_validate(shelf.call("labels", "show", name, "--json", *more).answer)


def test_every_part_of_a_set_can_be_said_in_options(shelf: Shelf) -> None:
    done = shelf.call(
        "labels", "create", "whole", "cat", "Rex", "--mode", "binary", "--aggregate", "max", "--background", "a photo",
        "--min-score", ".1", "--min-probability", ".6", "--min-margin", ".05", "--template", "{}",
        "--prompt", "cat=a cat", "--negative", "cat=no cat", "--category", "cat=animal",
        "--example", f"Rex={shelf.pictures / 'picture-0.png'}", "--words-weight", "Rex=.25", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    made = LabelSetInfo.model_validate(done.answer)
    assert (made.mode, made.aggregate, made.background, made.templates) == ("binary", "max", ["a photo"], ["{}"])
    assert (made.min_score, made.min_probability, made.min_margin) == (0.1, 0.6, 0.05)
    cat, rex = made.labels
    assert (cat.prompts, cat.negatives, cat.category) == (["a cat"], ["no cat"], "animal")
    assert (rex.prompts, rex.words_weight, len(rex.examples)) == (["Rex"], 0.25, 1)
    text = shelf.call("labels", "show", "whole").text
    for words in ("mode: binary", "prompts joined by: max", "background: a photo", "least margin: 0.05",
                  "category animal", "not: no cat", "1 example"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("form", ["yaml", "json", "csv"])
def test_what_is_exported_makes_the_same_set(shelf: Shelf, tmp_path: Path, form: str) -> None:
    picture = shelf.pictures / "picture-0.png"
    shelf.call("labels", "create", "pets", "cat", "dog", "--prompt", "dog=a dog", "--category", "dog=animal",
               "--example", f"dog={picture}", "--min-margin", ".1", "--replace")  # fmt: skip
    exported = shelf.call("labels", "export", "pets", "--form", form)
    assert exported.code == 0, exported.err
    file = tmp_path / f"pets.{form}"
    file.write_bytes(exported.out)
    made = shelf.call("labels", "create", "again", "--file", file, "--replace", "--json")
    assert made.code == 0, made.err
    first, again = shown(shelf, "pets"), LabelSetInfo.model_validate(made.answer)
    assert (again.labels, again.digest, again.min_margin) == (first.labels, first.digest, first.min_margin)


def test_a_set_is_changed_in_place_and_keeps_its_history(shelf: Shelf) -> None:
    assert shelf.call("labels", "create", "sky", "clear", "cloudy", "--replace").code == 0
    start = shown(shelf, "sky").version
    steps = [
        ("threshold", "sky", "--min-margin", ".1"),
        ("threshold", "sky", "clear", "--min-probability", ".6"),
        ("threshold", "sky", "--clear", "margin"),
        ("edit", "sky", "clear", "--prompt", "a blue sky", "--category", "fine"),
        ("add", "sky", "storm"),
        ("remove", "sky", "cloudy"),
        ("add-example", "sky", "storm", str(shelf.pictures / "picture-1.png"), "--id", "1", "--words-weight", ".5"),
        ("edit", "sky", "storm", "--no-examples", "--rename", "thunderstorm", "--category", ""),
    ]
    for number, step in enumerate(steps, start=start + 1):
        done = shelf.call("labels", *step, "--json")
        assert done.code == 0, done.err
        assert done.answer["version"] == number
    now = shown(shelf, "sky")
    assert [(one.name, one.prompts, one.min_probability) for one in now.labels] == [
        ("clear", ["a blue sky"], 0.6), ("thunderstorm", ["storm"], None),
    ]  # fmt: skip
    versions = shelf.call("labels", "history", "sky", "--json").answer["versions"]
    assert [one["version"] for one in versions[: len(steps)]] == list(range(start + len(steps), start, -1))
    assert versions[1]["changes"] == ["label 'storm': words_weight, examples"]
    assert "label 'cloudy' removed" in shelf.call("labels", "history", "sky").text
    assert [one.name for one in shown(shelf, "sky", "--version", str(start)).labels] == ["clear", "cloudy"]
    assert b"cloudy" in shelf.call("labels", "export", "sky", "--version", str(start)).out
    assert shelf.call("labels", "show", "sky", "--version", "999").code == 1


def test_built_in_sets_are_listed_shown_and_installed(shelf: Shelf) -> None:
    listed = shelf.call("labels", "builtin", "--json").answer["label_sets"]
    assert {"builtin:moderation", "builtin:objects", "builtin:shop-colour"} <= {one["name"] for one in listed}
    assert "builtin:scenes" in shelf.call("labels", "builtin").text
    assert shown(shelf, "builtin:photo-quality").version == 0
    installed = shelf.call("labels", "install", "photo-quality", "--as", "quality", "--replace", "--json")
    assert installed.answer["labels"] == [one.model_dump() for one in shown(shelf, "builtin:photo-quality").labels]
    assert b"# " not in shelf.call("labels", "export", "builtin:photo-quality").out
    unknown = shelf.call("labels", "install", "scene")
    assert unknown.code == 1
    assert "did you mean builtin:scenes" in unknown.err
    assert shelf.call("labels", "threshold", "builtin:scenes", "--min-score", ".1").code == 1


def test_a_built_in_set_is_classified_with_by_its_name(shelf: Shelf) -> None:
    done = shelf.call(
        "classify", shelf.pictures / "picture-0.png", "--label-set", "builtin:photo-quality", "--json", "--top", "3"
    )
    assert done.code == 0, done.err
    assert done.answer["label_set"] == "builtin:photo-quality"


def test_a_check_says_what_is_doubtful(shelf: Shelf) -> None:
    made = shelf.call("labels", "create", "birds", "crane", "cat", "Cats", "--replace")
    assert "warning: the label 'crane' has several meanings (a bird, a machine)" in made.err
    done = shelf.call("labels", "check", "birds", "--json")
    assert done.code == 0, done.err
    assert "the labels 'cat' and 'Cats' have nearly the same name" in done.answer["warnings"]
    assert "several meanings" in shelf.call("labels", "check", "birds").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("threshold", "sky"), "say which threshold"),
        (("edit", "sky", "clear"), "say what to change"),
        (("add-example", "sky", "clear"), "name image files, or stored images by --id"),
        (("create", "x", "a", "b", "--category", "c=d"), "there is no label 'c'"),
        (("create", "x", "a", "b", "--example", "a"), "--example is written LABEL=TEXT"),
        (("create", "x", "a", "b", "--words-weight", "a=much"), "'much' is no number"),
        (("create", "x", "a", "b", "--mode", "both"), "'both' is not one of"),
        (("create", "x"), "name the labels"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(shelf: Shelf, arguments: tuple[str, ...], words: str) -> None:
    done = shelf.call("labels", *arguments)
    assert done.code == 2
    assert words in done.err


def test_a_file_with_a_fault_is_named_with_its_place(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "pets.yaml"
    file.write_text("cat: a cat\ndog: a dog\ncat: a tom\n")
    done = shelf.call("labels", "create", "pets", "--file", file)
    assert done.code == 1
    assert f"{file}: the key 'cat' stands twice, in lines 1 and 3" in done.err
    file.write_text(json.dumps({"templates": ["a photo"], "labels": ["a", "b"]}))
    assert (
        f"{file}, template 1: the template 'a photo' must hold {{}} once"
        in shelf.call("labels", "create", "pets", "--file", file).err
    )


def test_a_check_names_the_words_that_the_model_never_saw(tmp_path: Path) -> None:
    draw(tmp_path / "pictures" / "one.png", 1)
    environment = {"CLIPSEARCH_MODEL": "demo", "CLIPSEARCH_DATA_DIR": str(tmp_path / "library")}
    assert call("index", tmp_path / "pictures", environment=environment).code == 0
    made = call("labels", "create", "x", "circle", "xylophonist", environment=environment)
    assert "warning: the model never saw xylophonist (label 'xylophonist')" in made.err
    assert "warning: the model never saw xylophonist" in call("tags", "apply", "x", environment=environment).err
    done = call("labels", "check", "x", "--json", environment=environment)
    assert any("never saw xylophonist (label 'xylophonist')" in words for words in done.answer["warnings"]), done.err


def test_a_label_that_was_not_named_gets_no_prompt(shelf: Shelf) -> None:
    done = shelf.call("labels", "create", "b2", "cat", "dog", "--prompt", "cow=a cow")
    assert done.code == 2
    assert "there is no label 'cow'" in done.err


def test_an_example_that_cannot_be_added_says_which_and_what_to_do(shelf: Shelf) -> None:
    shelf.call("labels", "create", "beasts", "cat", "dog")
    assert "missing.jpg" in shelf.call("labels", "add-example", "beasts", "cat", "missing.jpg").err
    picture = str(shelf.pictures / "picture-0.png")
    said = shelf.call("labels", "add-example", "beasts", "guinea pig", picture).err
    assert "clipsearch labels add beasts 'guinea pig'" in " ".join(said.split())
    said = shelf.call("labels", "add-example", "beasts", "cat", "--id", "9" * 23).err
    assert "there is no image of this id" in said
