"""Names of labels that may be taken for something else, or for each other."""

from __future__ import annotations

import pytest

from clipsearch.label_names import MOST_LABELS, MOST_WARNINGS, name_warnings, one_spelling
from clipsearch.label_set import Example, Label


@pytest.mark.parametrize(
    ("one", "other"),
    [("cat", "Cats"), ("hot_dog", "Hot dogs"), ("T-shirt", "t shirts"), ("box", "boxes"), ("berry", "berries"),
     ("dish", "dishes"), ("glass", "glasses")],
)  # fmt: skip
def test_names_that_differ_by_case_underscores_or_a_plural_are_warned_of(one: str, other: str) -> None:
    assert name_warnings([Label(name=one), Label(name=other)]) == [
        f"the labels {one!r} and {other!r} have nearly the same name"
    ]


@pytest.mark.parametrize(("one", "other"), [("bus", "bu"), ("glass", "glas"), ("cat", "cast"), ("gas", "ga")])
def test_other_names_are_left_alone(one: str, other: str) -> None:
    assert one_spelling(one) != one_spelling(other)
    assert name_warnings([Label(name=one), Label(name=other)]) == []


def test_a_word_with_several_meanings_is_warned_of_unless_something_says_which() -> None:
    found = name_warnings([Label(name="crane", prompts=("crane",)), Label(name="Bats", prompts=("Bats",))])
    assert [words.split(";")[0] for words in found] == [
        "the label 'crane' has several meanings (a bird, a machine)",
        "the label 'Bats' has several meanings (an animal, a stick for games)",
    ]
    assert name_warnings([Label(name="crane", prompts=("crane, the bird",))]) == []
    assert name_warnings([Label(name="crane", examples=(Example("crane.jpg"),))]) == []


def test_many_warnings_are_counted_and_not_printed() -> None:
    labels = [Label(name=f"{number} {word}") for number in range(50) for word in ("thing", "things")]
    found = name_warnings(labels)
    assert len(found) == MOST_WARNINGS + 1
    assert found[-1] == "and 30 more such warnings"


def test_a_vocabulary_is_taken_as_it_is() -> None:
    assert name_warnings([Label(name="crane")] * (MOST_LABELS + 1)) == []
