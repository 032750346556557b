"""``clipsearch keys``: a key is shown once, works, and is taken back by its prefix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_fixtures import Outcome, call

from clipsearch.authorizing import check_key
from clipsearch.config import Settings
from clipsearch.errors import InvalidKey
from clipsearch.library import Library


def run(tmp_path: Path, *words: str) -> Outcome:
    return call("keys", *words, environment={"CLIPSEARCH_DATA_DIR": str(tmp_path)})


def opened(tmp_path: Path) -> Library:
    return Library.open(Settings(data_dir=tmp_path))


def test_the_key_stands_alone_on_stdout_and_works(tmp_path: Path) -> None:
    made = run(tmp_path, "create", "the camera", "--scope", "write", "--expires", "90d")
    assert made.code == 0
    assert re.fullmatch(r"cs_[0-9a-f]{12}_[0-9a-f]{64}\n", made.text)
    prefix = made.text.split("_")[1]
    for words in ("the camera", "read and write", "shown this once", f"clipsearch keys revoke {prefix}"):
        assert words in made.err
    assert made.text.strip() not in made.err
    with opened(tmp_path) as library:
        known = check_key(library, made.text.strip())
    assert known.expires_at is not None
    assert (known.expires_at - known.created_at).days == 90


def test_keys_are_listed_without_their_secrets(tmp_path: Path) -> None:
    assert "there is no key yet" in run(tmp_path, "list").err
    assert run(tmp_path, "list", "--json").answer == {"keys": []}
    made = run(tmp_path, "create", "alice", "--json").answer
    listed = run(tmp_path, "list")
    assert made["prefix"] in listed.text
    assert "alice" in listed.text
    assert made["key"].rpartition("_")[2] not in listed.text
    told = run(tmp_path, "list", "--json").answer["keys"]
    assert told == [{name: value for name, value in made.items() if name != "key"}]


def test_a_revoked_key_stays_on_the_list_and_opens_nothing(tmp_path: Path) -> None:
    made = run(tmp_path, "create", "alice", "--json").answer
    assert run(tmp_path, "revoke", made["prefix"], "--json").answer["state"] == "revoked"
    assert run(tmp_path, "list", "--json").answer["keys"][0]["state"] == "revoked"
    with opened(tmp_path) as library, pytest.raises(InvalidKey):
        check_key(library, made["key"])


def test_a_name_is_enough_to_revoke_where_one_key_bears_it(tmp_path: Path) -> None:
    first = run(tmp_path, "create", "me")
    second = run(tmp_path, "create", "me")
    prefix = first.text.split("_")[1]
    assert "warning" not in first.err
    assert f"warning: {prefix} is called 'me', too, and holds as before" in second.err
    both = run(tmp_path, "revoke", "me")
    assert (both.code, "2 keys are called 'me'" in both.err, prefix in both.err) == (1, True, True)
    assert run(tmp_path, "revoke", prefix).code == 0
    assert run(tmp_path, "revoke", "me").text == f"the key {second.text.split('_')[1]} (me) is revoked\n"
    assert run(tmp_path, "revoke", "me").code == 1


@pytest.mark.parametrize("expires", ["90", "d", "0d", "-1d", "1.5d", "90 days", "100000d", "tomorrow"])
def test_a_time_that_is_none_is_refused_with_examples(tmp_path: Path, expires: str) -> None:
    done = run(tmp_path, "create", "x", "--expires", expires)
    assert done.code == 2
    assert "90d" in done.err


@pytest.mark.parametrize(("expires", "days"), [("48h", 2), ("2w", 14), ("1y", 365), ("never", None)])
def test_times_are_hours_days_weeks_and_years(tmp_path: Path, expires: str, days: int | None) -> None:
    made = run(tmp_path, "create", "x", "--expires", expires, "--json").answer
    with opened(tmp_path) as library:
        known = check_key(library, made["key"])
    found = None if known.expires_at is None else (known.expires_at - known.created_at).days
    assert found == days


def test_what_goes_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    for words, code in ((("revoke", "nothing"), 1), (("create", ""), 1), (("create", "x", "--expires", "99y"), 1),
                        (("create", "x", "--scope", "root"), 2)):  # fmt: skip
        done = run(tmp_path, *words)
        assert done.code == code
        assert "Traceback" not in done.err
