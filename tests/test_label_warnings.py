"""What is warned of in a choice of labels: in few lines, whatever the number of labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_fixtures import draw_many, index, sqlite_url, unit_rows

from clipsearch.choices import choice_of, label_set_of
from clipsearch.choices.label_warnings import label_warnings
from clipsearch.choices.sets import unstored
from clipsearch.classifying import classify_stored
from clipsearch.config import Settings
from clipsearch.encoder import Encoder
from clipsearch.errors import ModelUnavailable
from clipsearch.label_set import Label, LabelSet
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.queries import Labels

LONG = "q " * 99 + "q"


@pytest.fixture
def filled(any_library: Library, photos: Path) -> Library:
    draw_many(photos, 3)
    index(any_library, photos)
    return any_library


@pytest.fixture(scope="module")
def demo_encoder(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Encoder]:
    """A model that knows few words, and which."""
    folder = tmp_path_factory.mktemp("warnings")
    sqlite_url(folder, migrated_file)
    with Library.open(Settings(data_dir=folder, model="demo", collection="default")) as library:
        yield library.encoder("demo")


def labels_of(*names: str) -> LabelSet:
    return LabelSet(labels=tuple(Label(name=name, prompts=(name,)) for name in names))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["cat", "xyzzy", "plugh", LONG, "blorb frotz", "dog"]), min_size=2, max_size=40))
def test_each_kind_of_warning_takes_one_line_at_most(demo_encoder: Encoder, names: list[str]) -> None:
    found = label_warnings(unstored("zoo", labels_of(*names)), demo_encoder)
    assert len(found) <= 3
    assert bool(found) == (len(set(names)) < len(names) or not set(names) <= {"cat", "dog"})


def test_many_labels_that_the_model_never_saw_are_counted_with_three_of_them(demo_encoder: Encoder) -> None:
    names = [f"xyzzy{chr(97 + place)}" for place in range(5)]
    (found,) = label_warnings(unstored("my zoo", labels_of("cat", *names)), demo_encoder)
    assert found.startswith("5 of 6 labels hold words that the model never saw, e.g. xyzzya (label 'xyzzya'), ")
    assert found.endswith("; all of them: clipsearch labels check 'my zoo'")
    assert "xyzzyc" in found
    assert "xyzzyd" not in found


def test_labels_that_stand_twice_or_are_cut_share_a_line(demo_encoder: Encoder) -> None:
    names = [f"{letter} {LONG}" for letter in "abcd"]
    found = label_warnings(unstored("", labels_of("cat", "cat", "dog", "dog", *names)), demo_encoder)
    assert found[0] == "2 names of labels stand more than once and are told apart by position: 'cat', 'dog'"
    assert found[-1].startswith("4 of 8 labels are too long for the model, which reads the beginning only, e.g. 'a q ")
    assert "labels check" not in found[-1]
    assert len(found[-1]) < 300


def test_a_threshold_of_the_question_stands_before_that_of_a_label(filled: Library) -> None:
    strict = tuple(Label(name=name, prompts=(name,), min_score=1.0, min_probability=1.0) for name in ("cat", "dog"))
    save_label_set(filled, "strict", LabelSet(labels=strict))
    assert {one.rejected for one in classify_stored(filled, Labels(label_set="strict")).results} == {"score"}
    half = classify_stored(filled, Labels(label_set="strict", min_score=-1))
    assert {one.rejected for one in half.results} == {"probability"}
    both = classify_stored(filled, Labels(label_set="strict", min_score=-1, min_probability=0))
    assert {one.rejected for one in both.results} == {None}
    kept = label_set_of(filled, Labels(label_set="strict"))
    assert [label.min_score for label in kept.labels] == [1.0, 1.0]


def test_labels_that_are_each_others_crowd_are_so_only_until_the_model_is_here(filled: Library) -> None:
    encoder, model = filled.encoder_for(filled.collection())
    names = tuple(f"{first}{second}" for first in "abcdef" for second in "ghijkl")
    label_set = unstored("", LabelSet(labels=tuple(Label(name=name) for name in names), mode="multi"))
    single = unstored("", LabelSet(labels=label_set.labels))
    choice_of(filled, single, model, lambda: encoder)  # keeps what the labels' own words come to

    def absent() -> Encoder:
        raise ModelUnavailable("the model is elsewhere")

    makeshift = choice_of(filled, label_set, model, absent)
    assert any("held against each other" in words for words in makeshift.warnings(None))
    real = choice_of(filled, label_set, model, lambda: encoder)
    assert not any("held against each other" in words for words in real.warnings(None))
    images = unit_rows(2, model.model.dimension)
    one, other = (choice.ranker(None, 2)(images).probabilities for choice in (makeshift, real))
    assert not np.allclose(one, other)
