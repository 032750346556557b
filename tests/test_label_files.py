"""Label files as people write them: four forms, one meaning, and no label that was silently lost or changed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import ClipSearchError, EmptyText, InvalidLabelSet, InvalidTemplate, TextTooLong
from clipsearch.label_files import draft_of, parse_labels, read_label_file
from clipsearch.label_set import LabelSet

PETS = LabelSet.of((("cat", ("cat",)), ("dog", ("dog", "puppy"))))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("yaml", "cat:\ndog: [dog, puppy]"),
        ("yml", "- cat\n- name: dog\n  prompts: [dog, puppy]"),
        ("yaml", "labels:\n  cat: cat\n  dog: [dog, puppy]"),
        ("json", '{"cat": null, "dog": ["dog", "puppy"]}'),
        ("json", '["cat", {"label": "dog", "prompts": ["dog", "puppy", "dog"]}]'),
        ("csv", "label,prompt\ncat,\ndog,dog,puppy\n"),
        ("csv", "cat\n\ndog,dog\ndog,puppy"),
    ],
)
def test_every_form_gives_the_same_labels(form: str, text: str) -> None:
    assert parse_labels(text, form) == PETS


def test_one_label_a_line_leaves_out_comments_and_empty_lines() -> None:
    found = parse_labels("# pets\ncat\n\n  dog  \r\n#hashtag\n", "txt")
    assert [label.name for label in found.labels] == ["cat", "dog", "#hashtag"]


def test_templates_come_with_the_labels() -> None:
    assert parse_labels("labels: [cat, dog]\ntemplates: ['a {}', '{} !']", "yaml").templates == ("a {}", "{} !")
    assert parse_labels('{"labels": ["cat", "dog"], "template": "a {}"}', "json").templates == ("a {}",)
    with pytest.raises(InvalidTemplate, match=r"must hold \{\} once"):
        parse_labels("labels: [cat, dog]\ntemplates: [a photo]", "yaml")


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("yaml", "cat: x\ncat: y\ndog: z", "'cat' stands twice"),
        ("json", '{"cat": "x", "cat": "y", "dog": "z"}', "'cat' stands twice"),
        ("yaml", "no:\nyes:\n", "False, which is not a text; put it in quotes"),
        ("yaml", "- 1.0\n- 2\n", "1.0, which is not a text"),
        ("yaml", "cat: [on]\ndog:", "True, which is not a text"),
        ("yaml", "- name: 1\n- name: dog", "1, which is not a text"),
        ("yaml", "? [a, b]\n: c\n", r"\['a', 'b'\] is not a text"),
        ("yaml", "- [cat]\n- dog\n", "which is not a text"),
        ("yaml", "!!python/object/apply:os.system ['true']", "not YAML"),
        ("yaml", "&a [*a, dog]", "not use YAML aliases"),
        ("yaml", "cat: [\n", "not YAML"),
        ("json", "[" * 100_000, "not JSON"),
        ("json", "{'cat': 1}", "not JSON"),
        ("json", "42", "must be a list of labels"),
        ("json", '{"labels": ["a", "b"], "colour": 1}', "unknown keys 'colour'"),
        ("json", '[{"prompts": ["x"]}, "dog"]', "must hold name and prompts"),
        ("csv", 'cat,"never closed\ndog', "not CSV"),
        ("csv", "", "at least two labels"),
        ("txt", "cat", "at least two labels"),
        ("txt", "cat\ncat", "'cat' twice"),
        ("txt", "cafe\u0301\ncaf\u00e9", "'café' twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(form: str, text: str, words: str) -> None:
    with pytest.raises(InvalidLabelSet, match=words):
        parse_labels(text, form)


def test_empty_and_endless_labels_are_refused() -> None:
    with pytest.raises(EmptyText):
        draft_of([("  ", ()), ("dog", ())])
    with pytest.raises(TextTooLong, match="the limit is 200"):
        draft_of([("x" * 201, ()), ("dog", ())])
    with pytest.raises(InvalidLabelSet, match="201 prompts"):
        draft_of([("cat", [f"cat {n}" for n in range(201)]), ("dog", ())])


def test_a_file_is_read_by_its_suffix_and_named_in_its_errors(tmp_path: Path) -> None:
    (tmp_path / "pets.YAML").write_bytes(b"\xef\xbb\xbfcat:\ndog: [dog, puppy]")
    assert read_label_file(tmp_path / "pets.YAML") == PETS
    (tmp_path / "latin.txt").write_bytes("Käfer\nBär".encode("latin-1"))
    with pytest.raises(InvalidLabelSet, match=r"latin\.txt cannot be read: it is not UTF-8"):
        read_label_file(tmp_path / "latin.txt")
    with pytest.raises(InvalidLabelSet, match="No such file"):
        read_label_file(tmp_path / "none.txt")


_LABEL = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(
    # A mapping with the key "labels" is a whole file: a label of that name has to stand in a list.
    lambda text: text.strip() == text and not text.startswith("#") and text != "labels"
)
_LABELS = st.dictionaries(_LABEL, st.lists(_LABEL, max_size=3), min_size=2, max_size=6)


@given(_LABELS)
def test_labels_survive_being_written_and_read_in_every_form(labels: dict[str, list[str]]) -> None:
    try:
        wanted = draft_of(labels.items())
    except InvalidLabelSet:  # two spellings of one label
        return
    assert parse_labels(json.dumps(labels), "json") == wanted
    assert parse_labels(yaml.safe_dump(labels, sort_keys=False, allow_unicode=True), "yaml") == wanted
    table = io.StringIO()
    csv.writer(table).writerows([["label"], *([name, *prompts] for name, prompts in labels.items())])
    assert parse_labels(table.getvalue(), "csv") == wanted


@given(st.text(max_size=200), st.sampled_from(["yaml", "json", "csv", "txt"]))
def test_no_text_breaks_the_reader(text: str, form: str) -> None:
    try:
        labels = len(parse_labels(text, form).labels)
    except ClipSearchError:
        labels = 2
    assert labels >= 2


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("yaml", "labels: [&a [x, y], *a]"),
        ("yaml", "labels: [a, b, 2024-13-45]"),
        ("yaml", "[a, 0x_]"),
        ("yaml", "? !!set {a, b}\n: c\nd: e"),
        ("yaml", "labels: [a, b]\n1: x\nfoo: y"),
        ("json", "[" + "9" * 5_000 + "]"),
    ],
    ids=["alias", "no date", "no number", "a set as a key", "unknown keys of two kinds", "a long number"],
)
def test_odd_yaml_and_json_is_refused_in_words(form: str, text: str) -> None:
    with pytest.raises(InvalidLabelSet):
        parse_labels(text, form)


def test_a_file_of_aliases_does_not_grow(tmp_path: Path) -> None:
    nest = "x"
    for level in range(9):
        nest = f"&n{level} [{', '.join([nest] + [f'*n{level - 1}'] * 8 if level else [nest])}]"
    file = tmp_path / "laugh.yaml"
    file.write_text(f"- {nest}\n")
    with pytest.raises(InvalidLabelSet) as refused:
        read_label_file(file)
    assert len(refused.value.message) < 500
