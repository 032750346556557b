"""What is read of the settings without checking them all is what the whole reading gives, or nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.config import read_settings
from clipsearch.environment import CONFIG_FILE, Whereabouts, whereabouts
from clipsearch.errors import ConfigError

VALUES = {
    "data_dir": ["", "data", "/tmp/a/../b", "~/photos", "~nobody-of-this-name/x", "a\x00b"],
    "database_url": ["sqlite:///x.db", "postgresql://me@host/photos", ""],
    "model": ["demo", ""],
    "collection": ["default", "holiday", "x" * 200, "x" * 201, ""],
    "device": ["auto", "cpu", ""],
    "dtype": ["auto", "float32", "float64"],
    "runtime": ["auto", "torch", "tensorflow"],
    "log_level": ["debug", "warning", "loud"],
    "use_server": ["true", "false", "0", "1", "no", "perhaps"],
    "light_text": ["true", "0", "perhaps"],
    "port": ["8000", "x"],
    "colection": ["x"],
}
SOME = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "data_dir": st.sampled_from([Path("flagged"), Path("/flagged/..")]),
        "device": st.sampled_from(["cuda", "cpu"]),
        "dtype": st.sampled_from(["float16", None]),
        "use_server": st.booleans(),
    },
)


def read_whole(flags: dict[str, Any]) -> Whereabouts | None:
    try:
        settings = read_settings(**flags)
    except ConfigError:
        return None
    return Whereabouts(**{name: getattr(settings, name) for name in Whereabouts.__dataclass_fields__})


@given(variables=SOME, upper=st.booleans(), in_file=SOME, as_switch=st.booleans(), flags=FLAGS)
def test_it_reads_what_the_whole_reading_gives_or_leaves_it_to_that(
    variables: dict[str, str], upper: bool, in_file: dict[str, str], as_switch: bool, flags: dict[str, Any]
) -> None:
    names = {(f"CLIPSEARCH_{name.upper()}" if upper else f"clipsearch_{name}"): value
             for name, value in variables.items() if "\x00" not in value}  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("CLIPSEARCH_")}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {**kept, **names}, clear=True):
        path = Path(folder) / CONFIG_FILE
        path.write_text("".join(_line(name, value, as_switch) for name, value in in_file.items()))
        os.environ["CLIPSEARCH_CONFIG"] = str(path)
        found, whole = whereabouts(flags), read_whole(flags)
    assert found is None or found == whole


def _line(name: str, value: str, as_switch: bool) -> str:
    text = value.replace("\x00", "\\u0000")
    return f"{name} = {text}\n" if as_switch and value in {"true", "false"} else f'{name} = "{text}"\n'


@pytest.mark.parametrize("name", ["data_dir", "collection", "device", "dtype", "database_url", "use_server"])
def test_what_is_plain_needs_no_whole_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for value in VALUES[name][1:2]:
        monkeypatch.setenv(f"CLIPSEARCH_{name.upper()}", value)
        assert whereabouts({}) == read_whole({})
    assert whereabouts({}) is not None


def test_a_settings_file_that_is_named_and_not_there_is_left_to_the_whole_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSEARCH_CONFIG", str(tmp_path / "nowhere.toml"))
    assert whereabouts({}) is None
