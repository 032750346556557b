"""``clipsearch tags`` and ``clipsearch review`` as they are typed, also by keys on a terminal."""

from __future__ import annotations

import os
import pty
import select
import sqlite3
import subprocess
import sys
import termios
import time
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from cli_fixtures import Shelf, _plain_environment, new_shelf
from encoder_fixtures import pictures


@pytest.fixture
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf of our own: six pictures, indexed, and a label set."""
    shelf = new_shelf(tmp_path_factory.getbasetemp(), f"tagged-shelf-{uuid.uuid4().hex}")
    assert shelf.call("index", shelf.pictures).code == 0
    assert shelf.call("labels", "create", "pets", "cat", "dog", "fish").code == 0
    return shelf


def listed(shelf: Shelf, *options: str) -> list[int]:
    done = shelf.call("images", "list", "--json", *options)
    return [one["id"] for one in done.answer["images"]]


def test_images_are_tagged_counted_filtered_and_untagged(shelf: Shelf) -> None:
    done = shelf.call("tags", "apply", "pets")
    assert done.code == 0, done.err
    assert "6 images tagged with 'pets', version 1" in done.text
    assert shelf.call("tags", "apply", "pets", "--json").answer["unchanged"] == 6
    counts = shelf.call("tags", "show", "pets", "--json").answer
    shown = {one["label"]: one["images"] for one in counts["labels"]}
    assert {name: len(listed(shelf, "--tag", f"pets:{name}")) for name in shown} == shown
    assert sum(shown.values()) == 6
    assert listed(shelf, "--tag", "pets", "--min-tag-probability", "1.0") == []
    assert len(listed(shelf, "--tag", "pets:-", "--min-tag-probability", "1.0")) == 6
    assert "0 of 6 images bear none" in shelf.call("tags", "show", "pets").text
    (row,) = shelf.call("tags", "list", "--json").answer["taggings"]
    assert (row["label_set"], row["tagged"], row["stale"]) == ("pets", 6, False)
    assert shelf.call("tags", "remove", "pets", "--yes", "--json").answer == {"removed": "pets", "images": 6}
    assert shelf.call("tags", "list").code == 3


def test_a_search_finds_only_what_bears_the_tag(shelf: Shelf) -> None:
    shelf.call("tags", "apply", "pets")
    for name in ("cat", "dog", "fish"):
        done = shelf.call("search", "anything", "--tag", f"pets:{name}", "--json")
        assert done.code in (0, 3), done.err
        found = sorted(hit["image"]["id"] for hit in done.answer["hits"])
        assert found == listed(shelf, "--tag", f"pets:{name}")


def test_a_tag_that_does_not_stand_is_an_error_with_the_way_out(shelf: Shelf) -> None:
    never = shelf.call("images", "list", "--tag", "pets:cat")
    assert (never.code, never.err.count("\n")) == (1, 1)
    assert "clipsearch tags apply pets -c default" in never.err
    shelf.call("tags", "apply", "pets")
    shelf.call("labels", "create", "pets", "cat", "cow", "--replace")
    assert "do not hold any more" in shelf.call("images", "list", "--tag", "pets:cat").err
    assert "version 2" in shelf.call("tags", "list").text.replace("1 of 2", "version 2")


def test_what_is_indexed_or_imported_is_tagged_at_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.call("tags", "apply", "pets")
    pictures(20, (48, 40))[-1].save(shelf.pictures / "new.png")
    done = shelf.call("index", shelf.pictures)
    assert done.code == 0, done.err
    assert "1 image tagged with 'pets'" in done.err
    assert len(listed(shelf, "--tag", "pets")) == 7
    model = shelf.call("status", "--json").answer["models"][0]
    rows = np.random.default_rng(0).standard_normal((3, model["dimension"])).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    done = shelf.call("import", "embeddings", tmp_path / "rows.npy", "--names", tmp_path / "names.txt",
                      "--model", model["name"])  # fmt: skip
    assert done.code == 0, done.err
    assert len(listed(shelf, "--tag", "pets")) == 10


def test_an_image_is_shown_with_its_tags(shelf: Shelf) -> None:
    shelf.call("tags", "apply", "pets")
    (tag,) = shelf.call("images", "show", "1", "--json").answer["tags"]
    assert f"pets:{tag['label']}" in shelf.call("images", "show", "1").text
    assert tag["source"] == "model"


def test_a_review_without_a_terminal_goes_by_commands(shelf: Shelf) -> None:
    shelf.call("tags", "apply", "pets")
    first, second, third, *_ = (
        one["image"]["id"] for one in shelf.call("review", "list", "pets", "--json").answer["entries"]
    )
    assert shelf.call("review", "decide", "pets", str(first), "--accept", "--json").answer["verdict"] == "accepted"
    assert shelf.call("review", "decide", "pets", str(second), "--label", "fish").code == 0
    assert shelf.call("review", "decide", "pets", str(third), "--skip").text == f"image {third}: skipped\n"
    found = shelf.call("review", "list", "pets", "--json").answer
    assert found["figures"]["reviewed"] == 3
    assert not {first, second, third} & {one["image"]["id"] for one in found["entries"]}
    decided = shelf.call("review", "list", "pets", "--decided", "--json").answer["reviews"]
    assert {one["image_id"]: one["labels"] for one in decided}[second] == ["fish"]
    assert second in listed(shelf, "--tag", "pets:fish")
    assert "taken back" in shelf.call("review", "decide", "pets", str(second), "--undo").text
    assert shelf.call("review", "decide", "pets", str(second), "--none").code == 0
    assert listed(shelf, "--tag", "pets:-") == [second]
    assert shelf.call("review", "decide", "pets", str(second)).code == 2
    assert shelf.call("review", "pets").code == 2, "keys need a terminal"


def test_corrections_become_examples(shelf: Shelf) -> None:
    shelf.call("tags", "apply", "pets")
    assert shelf.call("review", "to-examples", "pets").code == 3
    shelf.call("review", "decide", "pets", "2", "--label", "fish")
    done = shelf.call("review", "to-examples", "pets", "--json")
    assert done.answer == {"label_set": "pets", "examples": {"fish": 1}}, done.err
    assert "do not hold any more" in shelf.call("images", "list", "--tag", "pets").err
    assert shelf.call("tags", "apply", "pets").code == 0
    assert 2 in listed(shelf, "--tag", "pets:fish"), "a person's word outlives the version"


def test_a_review_by_keys_on_a_terminal(shelf: Shelf) -> None:
    """Accept, take back, choose the second label, skip, none of them, end."""
    shelf.call("tags", "apply", "pets")
    queue = [one["image"]["id"] for one in shelf.call("review", "list", "pets", "--json").answer["entries"]]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "clipsearch.cli", "review", "pets"],
        stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, start_new_session=True,
        env={**_plain_environment(), **shelf.environment, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    try:
        for key, answer in (("a", "accepted"), ("u", "taken back"), ("2", "corrected: "), ("s", "skipped"),
                            ("0", "corrected: none of them")):  # fmt: skip
            _press(ours, key)
            _until(ours, answer)
        _press(ours, "x")  # no key of ours
        _press(ours, "q")
        assert "3 images reviewed: 0 accepted, 2 corrected, 1 skipped" in _until(ours, "wait\r\n")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    decided = {one["image_id"]: one for one in
               shelf.call("review", "list", "pets", "--decided", "--json").answer["reviews"]}  # fmt: skip
    assert [decided[number]["verdict"] for number in queue[:3]] == ["corrected", "skipped", "corrected"]
    assert len(decided[queue[0]]["labels"]) == 1
    assert decided[queue[2]]["labels"] == []


def _press(terminal: int, key: str) -> None:
    """Type a key once the program waits for one: what is typed before is thrown away."""
    _until(terminal, "q quit")
    deadline = time.monotonic() + 20
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(terminal, key.encode())


def _until(terminal: int, words: str, seconds: float = 60.0) -> str:
    text, deadline = "", time.monotonic() + seconds
    while words not in text:
        assert time.monotonic() < deadline, f"never said {words!r}: {text!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 65_536).decode()
    return text


def test_the_progress_of_a_tagging_is_said_where_there_is_no_terminal(shelf: Shelf) -> None:
    assert "tagging: 6 of 6" in shelf.call("tags", "apply", "pets").err


def test_two_decisions_at_once_are_wrong_usage(shelf: Shelf) -> None:
    for two in (("--accept", "--none"), ("--skip", "--undo"), ("--accept", "--label", "cat"), ()):
        done = shelf.call("review", "decide", "pets", "1", *two)
        assert done.code == 2
        assert "say exactly one of" in done.err


def test_a_floor_of_tags_without_a_tag_is_refused(shelf: Shelf) -> None:
    for option in ("--min-tag-probability", "--min-tag-score"):
        done = shelf.call("search", "a cat", option, "0.5")
        assert done.code in (1, 2)
        assert "needs a tag" in done.err


def test_a_built_in_set_is_installed_before_it_is_applied(shelf: Shelf) -> None:
    assert "did you mean builtin:scenes" in shelf.call("tags", "apply", "scenes").err
    said = shelf.call("tags", "apply", "builtin:scenes").err
    assert "clipsearch labels install scenes, then: clipsearch tags apply scenes" in " ".join(said.split())


def test_deleting_a_set_says_what_goes_with_it(shelf: Shelf) -> None:
    shelf.call("tags", "apply", "pets")
    shelf.call("review", "decide", "pets", str(listed(shelf)[0]), "--accept")
    assert "and with it 1 decision and the tags of 1 collection" in shelf.call("labels", "delete", "pets", "--yes").text


def test_images_that_have_no_embedding_to_be_tagged_by_are_told(shelf: Shelf) -> None:
    with closing(sqlite3.connect(next(shelf.data.rglob("*.db")))) as connection, connection:
        connection.execute("DELETE FROM embedding WHERE image_id = 2")
        connection.execute("UPDATE collection SET revision = revision + 1")
        connection.execute("UPDATE image SET revision = revision + 1 WHERE id = 2")
    done = shelf.call("tags", "apply", "pets")
    assert "5 images tagged" in done.text
    assert "1 image not tagged with 'pets', for want of an embedding" in done.err
    assert shelf.call("tags", "apply", "pets", "--json").answer["waiting"] == 1
