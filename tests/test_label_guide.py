"""The guide to label sets tells the truth: its file is read, its commands, keys, routes and sets are there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from clipsearch.built_in import PREFIX, built_in_names
from clipsearch.cli.labels import labels
from clipsearch.label_files import parse_labels
from clipsearch.label_files.reading import LABEL_KEYS, SET_KEYS
from clipsearch.label_files.tables import COLUMNS

GUIDE = (Path(__file__).resolve().parents[1] / "docs" / "label-sets.md").read_text(encoding="utf-8")


def test_the_file_that_it_shows_can_be_read() -> None:
    found = re.search(r"```yaml\n(.*?)```", GUIDE, flags=re.S)
    assert found is not None
    assert [label.name for label in parse_labels(found[1], "yaml").labels] == ["hot_dog", "cat", "Rex", "Minka"]


def test_it_names_every_key_column_and_built_in_set() -> None:
    named = set(re.findall(r"`([\w:-]+)`", GUIDE))
    assert {*SET_KEYS, *LABEL_KEYS, *COLUMNS} <= named
    assert {PREFIX + name for name in built_in_names()} <= named


def test_it_names_the_commands_and_only_such_as_there_are() -> None:
    used = set(re.findall(r"clipsearch labels ([a-z-]+)", GUIDE))
    assert used <= set(labels.commands)
    assert set(labels.commands) - used == {"list", "delete", "import"}


@pytest.mark.parametrize("line", re.findall(r"^clipsearch labels .*$", GUIDE, flags=re.M))
def test_every_option_that_it_uses_is_there(line: str) -> None:
    command = labels.commands[line.split()[2]]
    assert isinstance(command, click.Command)
    options = {flag for parameter in command.params for flag in parameter.opts}
    assert set(re.findall(r"(?<= )--[a-z-]+", line.split("#", maxsplit=1)[0])) <= options
