"""The file by which a server is found: written for its user alone, believed only where all of it fits."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from clipsearch import announcement
from clipsearch.announcement import (
    FILE,
    Announcement,
    announced_server,
    database_identity,
    new_announcement,
    publish,
    withdraw,
)

DATABASE = "file 1:2"


def made(**changes: Any) -> Announcement:
    return replace(new_announcement("127.0.0.1", 8000, database=DATABASE, device="auto", dtype="auto"), **changes)


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    return ended.pid


def test_what_is_published_is_found_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    server = made()
    publish(tmp_path / "data", server)
    assert announced_server(tmp_path / "data", DATABASE) == server
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "data") == [FILE]


def test_the_last_server_stands_and_only_it_takes_its_announcement_away(tmp_path: Path) -> None:
    first, second = made(), made(port=8001)
    publish(tmp_path, first)
    publish(tmp_path, second)
    withdraw(tmp_path, first)
    assert announced_server(tmp_path, DATABASE) == second
    withdraw(tmp_path, second)
    assert not (tmp_path / FILE).exists()


def test_a_server_that_is_announced_meanwhile_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = made(), made(port=8001)
    publish(tmp_path, first)
    read = announcement._read
    reads: list[Announcement | None] = []

    def read_and_be_overtaken(path: Path) -> Announcement | None:
        found = read(path)
        if not reads:
            publish(tmp_path, second)
        reads.append(found)
        return found

    monkeypatch.setattr(announcement, "_read", read_and_be_overtaken)
    withdraw(tmp_path, first)
    assert announced_server(tmp_path, DATABASE) == second
    assert os.listdir(tmp_path) == [FILE]


def test_no_file_no_server(tmp_path: Path) -> None:
    assert announced_server(tmp_path, DATABASE) is None
    assert announced_server(tmp_path / "nowhere", DATABASE) is None


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot be asked for without ending it")
def test_what_a_dead_process_left_behind_is_taken_away(tmp_path: Path) -> None:
    publish(tmp_path, made(pid=dead_process()))
    assert announced_server(tmp_path, DATABASE) is None
    assert not (tmp_path / FILE).exists()


def test_a_server_of_another_machine_is_let_stand_and_not_asked(tmp_path: Path) -> None:
    publish(tmp_path, made(machine="elsewhere", pid=dead_process()))
    assert announced_server(tmp_path, DATABASE) is None
    assert (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "0.0.1"},
        {"database": "file 1:3"},
        {"host": "192.0.2.1"},
        {"host": "0.0.0.0"},
        {"host": "127.0.0.1.example.com"},
        {"host": "localhost"},
    ],
)
def test_a_server_that_does_not_fit_is_not_asked(tmp_path: Path, changes: dict[str, str]) -> None:
    publish(tmp_path, made(**changes))
    assert announced_server(tmp_path, DATABASE) is None
    assert announced_server(tmp_path, None) is None


@pytest.mark.skipif(os.name != "posix", reason="rights are told in another way elsewhere")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    publish(tmp_path, made())
    (tmp_path / FILE).chmod(mode)
    assert announced_server(tmp_path, DATABASE) is None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    publish(tmp_path, made())
    os.chown(tmp_path / FILE, 12345, 12345)
    assert announced_server(tmp_path, DATABASE) is None


@pytest.mark.skipif(os.name != "posix", reason="links and pipes need rights elsewhere")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_not_believed(tmp_path: Path, kind: str) -> None:
    if kind == "link":
        publish(tmp_path / "other", made())
        (tmp_path / FILE).symlink_to(tmp_path / "other" / FILE)
    elif kind == "pipe":
        os.mkfifo(tmp_path / FILE, 0o600)
    else:
        (tmp_path / FILE).mkdir()
    assert announced_server(tmp_path, DATABASE) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", "[" * 5_000, json.dumps(asdict(made()) | {"port": "8000"}),
     json.dumps(asdict(made()) | {"more": 1}), json.dumps(asdict(made()))[:-1], "\udcff"],
)  # fmt: skip
def test_a_damaged_file_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / FILE).chmod(0o600)
    assert announced_server(tmp_path, DATABASE) is None


def test_a_database_file_is_known_by_its_place_on_the_disk(tmp_path: Path) -> None:
    assert database_identity(tmp_path, None) is None
    (tmp_path / "clipsearch.db").touch()
    identity = database_identity(tmp_path, None)
    assert identity is not None
    assert database_identity(tmp_path / "elsewhere", f"sqlite:///{tmp_path}/clipsearch.db?timeout=5") == identity
    (tmp_path / "new.db").touch()
    os.replace(tmp_path / "new.db", tmp_path / "clipsearch.db")
    assert database_identity(tmp_path, None) != identity


def test_a_database_server_is_known_by_its_url_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = database_identity(tmp_path, "postgresql://me:secret@host:5432/photos")
    assert identity is not None
    assert identity == database_identity(tmp_path, "postgresql://me:other@host:5432/photos")
    assert identity == database_identity(tmp_path, "postgresql://me@host:5432/photos?password=third")
    for other in ("postgresql://you@host:5432/photos", "postgresql://me@host:5432/other",
                  "postgresql://me@host:5432/photos?host=/run"):  # fmt: skip
        assert database_identity(tmp_path, other) != identity
    monkeypatch.setenv("PGHOST", "elsewhere")
    assert database_identity(tmp_path, "postgresql://me@host:5432/photos") != identity
