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
from clipsearch.label_files import draft_of, parse_labels, read_label_file, write_labels
from clipsearch.label_set import Example, LabelSet

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


WHOLE = """
mode: multi
aggregate: max
templates: ['a photo of {}']
background: [something else]
min_score: 0.2
min_probability: 0.5
min_margin: 0.1
labels:
  - name: cat
    prompts: [a cat, a kitten]
    negatives: [no cat]
    category: animal
    min_score: 0.25
  - name: Rex
    examples: [rex.jpg, {uri: "s3://b/rex.jpg", digest: "%s"}]
  - name: Minka
    words_weight: 0.3
    min_probability: 1
    examples: minka.jpg
""" % ("0" * 64)


def test_a_file_may_say_all_that_a_label_set_has() -> None:
    found = parse_labels(WHOLE, "yaml")
    assert (found.mode, found.aggregate, found.templates, found.background) == (
        "multi", "max", ("a photo of {}",), ("something else",),
    )  # fmt: skip
    assert (found.min_score, found.min_probability, found.min_margin) == (0.2, 0.5, 0.1)
    cat, rex, minka = found.labels
    assert (cat.negatives, cat.category, cat.min_score) == (("no cat",), "animal", 0.25)
    assert rex.prompts == (), "a label of images alone has no words"
    assert rex.examples == (Example("rex.jpg"), Example("s3://b/rex.jpg", "0" * 64))
    assert (minka.prompts, minka.words_weight, minka.min_probability) == (("Minka",), 0.3, 1.0)


def test_examples_are_found_from_the_folder_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "pets.yaml").write_text(WHOLE)
    rex = read_label_file(tmp_path / "pets.yaml").labels[1]
    assert [one.uri for one in rex.examples] == [str(tmp_path / "rex.jpg"), "s3://b/rex.jpg"]


def test_a_name_is_kept_and_its_prompt_is_what_one_would_say() -> None:
    found = parse_labels("hot_dog\nn02123045_tabby_cat\n", "txt")
    assert [(one.name, one.prompts) for one in found.labels] == [
        ("hot_dog", ("hot dog",)),
        ("n02123045_tabby_cat", ("tabby cat",)),
    ]


def test_csv_tells_the_columns_by_its_header() -> None:
    table = "label,prompt,category,min_score,template\ncat,a cat,animal,.2,{}\ncat,a kitten,,,\ncar,,thing,,\n"
    found = parse_labels(table, "csv")
    assert found.templates == ("{}",)
    assert [(one.name, one.prompts, one.category, one.min_score) for one in found.labels] == [
        ("cat", ("a cat", "a kitten"), "animal", 0.2),
        ("car", ("car",), "thing", None),
    ]


def test_a_plain_table_is_read_as_ever() -> None:
    assert parse_labels("cat\ndog,dog,puppy", "csv") == PETS
    assert parse_labels("class,first words,others\ncat,cat\ndog,dog,puppy", "csv") == PETS


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("yaml", "cat: a\ndog: b\ncat: c", r"pets: the key 'cat' stands twice, in lines 1 and 3"),
        ("yaml", "- cat\n- dog\n- cat", r"pets names the label 'cat' twice \(label 1 and label 3\)"),
        ("txt", "cat\n\n# pets\ndog\ncat", r"'cat' twice \(line 1 and line 5\)"),
        ("yaml", "labels: [a, b]\nmode: both", "pets has the mode 'both'; the modes are single, multi, binary"),
        ("yaml", "labels: [a, b]\naggregate: sum", "pets joins its prompts by 'sum'"),
        ("yaml", "labels: [a, b]\nmin_score: 1.5", "min_score of pets is 1.5; it lies between -1 and 1"),
        ("yaml", "labels: [a, b]\nmin_margin: -0.1", "min_margin of pets is -0.1; it lies between 0 and 1"),
        ("yaml", "labels: [a, b]\nmin_score: yes", "min_score of pets is True, not a number"),
        ("json", '{"labels": ["a", "b"], "min_score": NaN}', "min_score of pets is nan"),
        ("yaml", "labels: [a]", "needs at least two labels"),
        ("yaml", "a: {min_probability: 2}\nb:", "min_probability of the label 'a' of pets is 2"),
        ("yaml", "a: {colour: red}\nb:", "unknown keys 'colour'; known are name, prompts"),
        ("yaml", "a: {words_weight: .5}\nb:", "words_weight, but no examples"),
        ("yaml", "a: {examples: [{uri: x, digest: abc}]}\nb:", "is no SHA-256"),
        ("yaml", "a: {examples: ['']}\nb:", "must name an image"),
        ("yaml", "a: {prompt: x, prompts: y}\nb:", "its other spelling"),
        ("csv", "label,prompt,colour\na,b,c", "unknown columns 'colour'; known are label, prompt"),
        ("csv", "label,category,category\na,b,c", "the column 'category' twice"),
        ("csv", "label,min_score\na,x\nb,", "line 2: min_score is 'x', not a number"),
        ("csv", "label,prompt,category\na,,x\nb\na,,y", "line 4: category is 'y' here, and 'x' above"),
        ("csv", "label,category\na,x,y\nb", "line 2: the cell 'y' stands under no column"),
        ("csv", "label,prompt\na,b\n,c", "line 3: the prompt 'c' belongs to no label"),
        ("csv", f"label,digest\na,{'0' * 64}\nb", "line 2: a digest stands without its example"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(form: str, text: str, words: str) -> None:
    with pytest.raises(InvalidLabelSet, match=words):
        parse_labels(text, form, "pets")


def test_a_template_without_its_place_is_named_with_file_and_number() -> None:
    with pytest.raises(InvalidTemplate, match=r"pets, template 2: the template 'a photo' must hold \{\} once"):
        parse_labels("labels: [a, b]\ntemplates: ['a {}', a photo]", "yaml", "pets")


def test_one_label_is_enough_where_something_stands_against_it() -> None:
    for text in ("mode: multi\nlabels: [cat]", "mode: binary\nlabels: [cat]", "labels: [cat]\nbackground: [a photo]"):
        assert len(parse_labels(text, "yaml").labels) == 1


def test_a_set_is_written_as_a_person_would_write_it() -> None:
    assert (
        write_labels(PETS)
        == "mode: single\ntemplates: []\nlabels:\n  - cat\n  - name: dog\n    prompts:\n      - dog\n      - puppy\n"
    )
    assert write_labels(PETS, "csv") == "label,prompt\ncat,cat\ndog,dog\ndog,puppy\n"
    assert json.loads(write_labels(PETS, "json"))["labels"] == ["cat", {"name": "dog", "prompts": ["dog", "puppy"]}]


@pytest.mark.parametrize("text", ["- cat\n- 0x{}", "mode: 0x{}\nlabels: [cat, dog]", "0x{}: a\ncat: b"])
def test_a_number_too_long_to_write_is_no_label(text: str) -> None:
    with pytest.raises(InvalidLabelSet):
        parse_labels(text.format("f" * 5_000), "yaml")


@pytest.mark.parametrize("text", ["labls: [cat, dog]", "mode: multi\nlabls: [cat, dog]"])
def test_a_misspelt_key_of_the_labels_is_told(text: str) -> None:
    with pytest.raises(InvalidLabelSet, match="perhaps labels was meant"):
        parse_labels(text, "yaml")


def test_a_table_may_be_written_with_semicolons() -> None:
    assert parse_labels("label;prompt\ncat;\ndog;dog\ndog;puppy\n", "csv") == PETS
    quoted = parse_labels('"cat; tabby"\ndog\n', "csv")
    assert [label.name for label in quoted.labels] == ["cat; tabby", "dog"]
