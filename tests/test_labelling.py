"""Label sets under names: made, shown, replaced, deleted."""

from __future__ import annotations

import pytest

from clipsearch.errors import AlreadyExists, InvalidLabelSet, LabelSetNotFound
from clipsearch.label_files import draft_of
from clipsearch.labelling import delete_label_set, list_label_sets, save_label_set, show_label_set
from clipsearch.library import Library
from clipsearch.prompts import DEFAULT_TEMPLATES

PETS = draft_of([("cat", ["cat", "kitten"]), ("dog", [])])


def test_a_set_is_shown_as_it_was_made(any_library: Library) -> None:
    made = save_label_set(any_library, "  pets ", PETS)
    assert made == show_label_set(any_library, "pets")
    assert [(label.name, label.prompts) for label in made.labels] == [("cat", ["cat", "kitten"]), ("dog", ["dog"])]
    assert (made.name, made.version, made.templates) == ("pets", 1, list(DEFAULT_TEMPLATES))
    assert made.created_at == made.updated_at


def test_a_set_is_replaced_only_on_request_and_counts_its_versions(any_library: Library) -> None:
    first = save_label_set(any_library, "pets", PETS)
    with pytest.raises(AlreadyExists, match="--replace"):
        save_label_set(any_library, "pets", PETS)
    second = save_label_set(any_library, "pets", draft_of([("a", []), ("b", [])], ["a {}"]), replace=True)
    assert (second.version, second.created_at) == (2, first.created_at)
    assert first.updated_at is not None  # as for built-in sets
    assert second.updated_at is not None
    assert second.updated_at >= first.updated_at
    assert show_label_set(any_library, "pets").templates == ["a {}"]


def test_sets_are_listed_by_name_and_leave_when_told(any_library: Library) -> None:
    for name in ("zoo", "pets", "Ämter"):
        save_label_set(any_library, name, PETS)
    assert {one.name for one in list_label_sets(any_library)} == {"pets", "zoo", "Ämter"}
    delete_label_set(any_library, "zoo")
    with pytest.raises(LabelSetNotFound, match="did you mean 'pets'"):
        show_label_set(any_library, "pet")
    with pytest.raises(LabelSetNotFound):
        delete_label_set(any_library, "zoo")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\\b", "a\x00", "a\nb", "x" * 201])
def test_a_name_that_could_not_stand_in_a_path_is_refused(library: Library, name: str) -> None:
    with pytest.raises(InvalidLabelSet, match="1 to 200 characters"):
        save_label_set(library, name, PETS)


def test_prompts_that_someone_wrote_stand_as_they_are(library: Library) -> None:
    saved = save_label_set(library, "pets", draft_of([("cat", ["a cat"]), ("dog", [])]))
    assert saved.templates == ["{}"]
    assert save_label_set(library, "names", draft_of([("cat", []), ("dog", [])])).templates == ["a photo of a {}."]
