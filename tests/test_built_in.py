"""The label sets that come with clipsearch: enough of them, in order, and free of what we warn others of."""

from __future__ import annotations

import pytest

from clipsearch.built_in import built_in_label_set, built_in_names
from clipsearch.errors import LabelSetNotFound
from clipsearch.label_names import name_warnings
from clipsearch.labelling import list_built_in

SHOP = ("shop-colour", "shop-material", "shop-neckline", "shop-pattern", "shop-sleeve")


def test_they_are_there_by_name() -> None:
    assert built_in_names() == ("moderation", "objects", "photo-quality", "scenes", *SHOP)
    assert built_in_label_set("builtin:scenes") == built_in_label_set("scenes")
    with pytest.raises(LabelSetNotFound, match="did you mean builtin:scenes"):
        built_in_label_set("builtin:scene")
    with pytest.raises(LabelSetNotFound, match="there are: moderation"):
        built_in_label_set("xyzzy")


@pytest.mark.parametrize("name", built_in_names())
def test_no_name_of_theirs_is_doubtful(name: str) -> None:
    assert name_warnings(built_in_label_set(name).labels) == []


@pytest.mark.parametrize(("name", "least"), [("objects", 400), ("scenes", 60), *((one, 10) for one in SHOP)])
def test_they_are_long_enough_and_in_order(name: str, least: int) -> None:
    names = [label.name for label in built_in_label_set(name).labels]
    assert len(names) >= least
    assert len({one.casefold() for one in names}) == len(names)
    assert names == sorted(names, key=lambda one: one.casefold().replace("é", "e"))


def test_moderation_brings_many_prompts_to_seven_outcomes_whose_shares_add_up() -> None:
    label_set = built_in_label_set("moderation")
    assert len(label_set.labels) >= 9
    categories = {label.category for label in label_set.labels}
    assert len(categories) == 7
    assert "safe" in categories
    assert (label_set.mode, label_set.aggregate) == ("single", "sum_probability")


def test_they_are_told_as_stored_ones_are() -> None:
    assert [(one.name, one.version, one.warnings) for one in list_built_in()] == [
        (f"builtin:{name}", 0, []) for name in built_in_names()
    ]
