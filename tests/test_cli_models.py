"""``clipsearch models add``, ``of``, ``switch`` and ``remove``, as a person and as a script calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, Shelf, new_shelf
from encoder_fixtures import make_checkpoints, write_model_folder

OTHER = "other-model"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Pictures that are indexed, and a second model in a folder."""
    base = tmp_path_factory.getbasetemp()
    shelf = new_shelf(base, "shelf-of-two-models")
    write_model_folder(shelf.folder / OTHER, make_checkpoints(base), "small-sigmoid")
    done = shelf.call("index", shelf.pictures)
    assert done.code == 0, done.err
    return shelf


def rows(shelf: Shelf) -> dict[str, tuple[str, int]]:
    found = shelf.call("models", "of", "--json").answer["models"]
    return {Path(one["name"]).name: (one["state"], one["embedded"]) for one in found}


def test_the_way_of_a_model_from_adding_to_removing(shelf: Shelf) -> None:
    other = str(shelf.folder / OTHER)
    added = shelf.call("models", "add", other)
    assert (added.code, added.text.splitlines()[0].split(" in ")[0]) == (0, f"{PICTURES} images embedded by {other}")
    assert f"clipsearch models switch {other} -c default" in added.err
    assert f"--against-model {other}" in added.err
    assert rows(shelf) == {"model": ("active", PICTURES), OTHER: ("ready", PICTURES)}

    again = shelf.call("models", "add", other, "--json").answer
    assert (again["embedded"], again["lacking"], again["ready"]) == (0, 0, True)

    table = shelf.call("models", "of", "default")
    assert [line.split()[1:3] for line in table.text.splitlines()] == [
        ["state", "embedded"],
        ["active", str(PICTURES)],
        ["ready", str(PICTURES)],
    ]
    assert shelf.call("models", "of", "--missing", other).code == 3
    assert shelf.call("models", "of", "--missing", other, "--json").answer["total"] == 0

    switched = shelf.call("models", "switch", other)
    assert switched.code == 0, switched.err
    assert switched.text.startswith(f"'default' is answered by {other} now, not by ")
    found = shelf.call("search", str(shelf.pictures / "picture-3.png"), "-k", "1", "--json", "--no-server").answer
    assert found["model"] == other
    assert found["hits"][0]["image"]["uri"].endswith("picture-3.png")

    refused = shelf.call("models", "remove", other)  # before anything is asked
    words = f"{other} is the model that answers in the collection 'default', and stays; switch to another one first"
    assert (refused.code, refused.err) == (1, f"error: {words}\n")
    asked = shelf.call("models", "remove", str(shelf.folder / "model"))
    assert asked.code == 2
    assert "Say so: --yes" in asked.err
    removed = shelf.call("models", "remove", str(shelf.folder / "model"), "--yes", "--json").answer
    assert removed["embeddings"] == PICTURES
    assert rows(shelf) == {OTHER: ("active", PICTURES)}


def test_what_cannot_be_embedded_is_named_and_a_switch_says_what_to_do(tmp_path: Path, shelf: Shelf) -> None:
    other = shelf.folder / OTHER
    base = shelf.folder.parent
    own = new_shelf(base, f"shelf-{tmp_path.name}")
    assert own.call("index", own.pictures).code == 0
    (own.pictures / "picture-0.png").unlink()
    added = own.call("models", "add", other)
    assert added.code == 0
    assert "picture-0.png: the file is not there any more" in added.err
    assert f"1 image of {PICTURES} still without an embedding by it" in added.err
    named = own.call("models", "of", "--missing", other)
    assert (named.code, named.text.split("\t")[1].strip()) == (0, str(own.pictures / "picture-0.png"))
    told = f"1 image without an embedding by {other}: clipsearch models add {other} -c default\n"
    assert own.call("models", "of").err.endswith(told)
    refused = own.call("models", "switch", other)
    assert refused.code == 1
    assert f"clipsearch models add {other} -c default" in refused.err
    assert "--allow-missing" in refused.err
    switched = own.call("models", "switch", other, "--allow-missing")
    assert switched.code == 0
    assert f"1 image of {PICTURES} cannot be found by it" in switched.err
    assert "picture-0.png" in switched.err
    shown = json.loads(own.call("collections", "show", "default", "--json").out)
    assert (shown["images"], shown["unsearchable"]) == (PICTURES, 1)


def test_tags_can_come_along(tmp_path: Path, shelf: Shelf) -> None:
    own = new_shelf(shelf.folder.parent, f"shelf-{tmp_path.name}")
    assert own.call("index", own.pictures).code == 0
    created = own.call("labels", "create", "things", "dog", "cat")
    assert created.code == 0, created.err
    assert own.call("tags", "apply", "things").code == 0
    other = shelf.folder / OTHER
    assert own.call("models", "add", other).code == 0
    switched = own.call("models", "switch", other)
    assert (
        "the tags of 'things' are of the other model; to have them again: clipsearch tags apply things" in switched.err
    )
    back = own.call("models", "switch", own.folder / "model", "--json").answer
    assert back["outdated_tags"] == []
    forth = own.call("models", "switch", other, "--tags")
    assert f"{PICTURES} images tagged with things" in forth.err
    assert own.call("tags", "list", "--json").code == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("add", "nonsense"), "is not the name of a model"),
        (("switch", "nonsense"), "is not the name of a model"),
        (("switch", "/never/added"), "is no model of the collection 'default'"),
        (("of", "none"), "there is no collection 'none'"),
    ],
)
def test_mistakes_are_said_in_one_line(shelf: Shelf, words: tuple[str, ...], complaint: str) -> None:
    done = shelf.call("models", *words)
    assert done.code == 1
    assert complaint in done.err
    assert len(done.err.splitlines()) == 1
