"""Whatever a label set says, it says it again after it was written to a file and read back."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.errors import ClipSearchError
from clipsearch.label_files import Form, checked, parse_labels, write_labels
from clipsearch.label_set import AGGREGATES, MODES, Example, Label, LabelSet

# Spaces, quotes, commas, line breaks, braces and colons, which mean something in one form or another.
TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t"), min_size=1, max_size=12
).filter(lambda text: text.strip() != "")
SHARE = st.none() | st.floats(0.0, 1.0)
COSINE = st.none() | st.floats(-1.0, 1.0)
EXAMPLE = st.builds(Example, TEXT, st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64))


@st.composite
def labels(draw: st.DrawFn) -> Label:
    examples = draw(st.lists(EXAMPLE, max_size=3))
    return Label(
        name=draw(TEXT),
        prompts=tuple(draw(st.lists(TEXT, max_size=3))),
        negatives=tuple(draw(st.lists(TEXT, max_size=2))),
        category=draw(st.none() | TEXT),
        words_weight=draw(SHARE) if examples else None,
        min_score=draw(COSINE),
        min_probability=draw(SHARE),
        examples=tuple(examples),
    )


LABEL_SETS = st.builds(
    LabelSet,
    labels=st.lists(labels(), min_size=2, max_size=5).map(tuple),
    templates=st.lists(TEXT.filter(lambda text: "{}" not in text).map(lambda text: text + "{}"), max_size=7).map(tuple),
    mode=st.sampled_from(MODES),
    aggregate=st.sampled_from(AGGREGATES),
    background=st.lists(TEXT, max_size=7).map(tuple),
    min_score=COSINE,
    min_probability=SHARE,
    min_margin=SHARE,
)


@pytest.mark.parametrize("form", ["yaml", "json", "csv"])
@settings(max_examples=150, deadline=None)
@given(label_set=LABEL_SETS)
def test_a_label_set_is_what_it_was_after_a_round_through_a_file(form: str, label_set: LabelSet) -> None:
    try:
        wanted = checked(label_set)
    except ClipSearchError:  # two spellings of one name
        return
    assert parse_labels(write_labels(wanted, cast("Form", form)), form) == wanted


@given(LABEL_SETS)
@settings(max_examples=50, deadline=None)
def test_what_was_checked_stays_as_it_is_when_it_is_checked_again(label_set: LabelSet) -> None:
    try:
        once = checked(label_set)
    except ClipSearchError:
        return
    assert checked(once) == once


FIELD = st.sampled_from(["name", "prompts", "negatives", "category", "min_score", "examples", "labels", "mode", "x"])
TREE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXT | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD, inner, max_size=4),
    max_leaves=12,
)


@given(TREE)
@settings(max_examples=200, deadline=None)
def test_no_tree_breaks_the_reader(tree: Any) -> None:
    try:
        read = parse_labels(json.dumps(tree), "json")
    except ClipSearchError:
        return
    assert checked(read) == read
