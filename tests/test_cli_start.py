from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from unittest import mock

import click
import pytest
from cli_fixtures import Outcome, Shelf, call, indexed_shelf, new_shelf, spawn

from clipsearch.cli.asking import ask

COMMANDS = (
    "index add search similar embed classify labels tags review evaluate collections images export import backup "
    "restore models status failures doctor db config serve mcp keys demo"
).split()
HEAVY = {"torch", "open_clip", "faiss", "sqlalchemy", "alembic", "numpy", "PIL", "pydantic", "flask", "rich"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


def imported(done: Outcome) -> set[str]:
    """The top-level names that ``-X importtime`` saw."""
    return {name.split(".")[0] for name in re.findall(r"^import time: .*\| +([\w.]+)$", done.err, re.MULTILINE)}


def test_help_names_every_command() -> None:
    done = call("--help")
    assert done.code == 0
    assert re.findall(r"^  ([a-z]+)  +[A-Z]", done.text.partition("Commands:")[2], re.MULTILINE) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = call(command, "--help")
    assert done.code == 0
    assert done.text.startswith(f"Usage: clipsearch {command}")


@pytest.mark.parametrize("arguments", [("--help",), ("search", "--help"), ("index", "--help")])
def test_help_loads_no_heavy_library(arguments: tuple[str, ...]) -> None:
    done = spawn(*arguments, python=("-X", "importtime"))
    assert done.code == 0
    assert "click" in imported(done)
    assert not imported(done) & HEAVY


def test_status_loads_neither_model_nor_index(shelf: Shelf) -> None:
    done = shelf.spawn("status", python=("-X", "importtime"))
    assert done.code == 0
    assert not imported(done) & {"torch", "open_clip", "faiss", "PIL", "flask", "rich"}


def test_the_version_is_told() -> None:
    assert call("--version").text.startswith("clipsearch 0.")


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest_one() -> None:
    done = call("serch", "boat")
    assert done.code == 2
    assert "did you mean 'search'?" in done.err


@pytest.mark.parametrize("arguments", [(), ("labels",), ("index", "--no-such-option"), ("index", ".", "--top", "3")])
def test_what_cannot_be_parsed_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.code == 2
    assert done.out == b""
    assert "Usage: clipsearch" in done.err


def test_an_error_is_one_line_on_stderr(tmp_path: Path) -> None:
    done = call("index", tmp_path / "no\nwhere", "--data-dir", tmp_path / "library")
    assert done.code == 1
    assert done.out == b""
    assert done.err == f"error: there is no folder or file {tmp_path}/no where\n"


def test_a_setting_that_is_not_known_is_named(tmp_path: Path) -> None:
    done = call("status", environment={"CLIPSEARCH_DATA_DIRR": str(tmp_path)})
    assert done.code == 1
    assert done.err == "error: CLIPSEARCH_DATA_DIRR is not a setting of clipsearch; did you mean CLIPSEARCH_DATA_DIR?\n"


@pytest.mark.parametrize("level", ["warning", "debug"])
def test_a_bug_is_one_line_and_a_traceback_only_for_those_who_ask(
    shelf: Shelf, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_library: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("clipsearch.inspecting.status", broken)
    done = call("status", environment={**shelf.environment, "CLIPSEARCH_LOG_LEVEL": level})
    assert done.code == 1
    assert "internal error: ZeroDivisionError: a bug (please report it" in done.err
    assert ("Traceback" in done.err) == (level == "debug")


def test_an_interrupted_command_says_so_in_one_line(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_library: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clipsearch.inspecting.status", interrupted)
    done = shelf.call("status")
    assert done.code == 130
    assert done.err == "interrupted; what was finished before stays\n"


def test_a_file_that_may_not_be_written_is_an_error_with_its_name(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = shelf.call("backup", tmp_path / "file" / "backup.db")
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert str(tmp_path / "file") in done.err


def test_a_reader_that_goes_away_causes_no_complaint(shelf: Shelf) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = shelf.spawn("images", "list", "--json", stdout=write)
    finally:
        os.close(write)
    assert done.code == 141
    assert done.err == ""


def test_the_data_folder_may_be_named_before_or_after_the_command(shelf: Shelf, tmp_path: Path) -> None:
    for arguments in (
        ("--data-dir", tmp_path / "one", "status", "--json"),
        ("status", "--json", "--data-dir", tmp_path / "one"),
        ("--data-dir", tmp_path / "other", "status", "--json", "--data-dir", tmp_path / "one"),
    ):
        done = shelf.call(*arguments)
        assert done.answer["data_dir"] == str(tmp_path / "one")


def test_a_command_that_is_advised_is_about_the_same_library(tmp_path: Path) -> None:
    for words in ((tmp_path / "my library", "search", "cat"), (tmp_path / "my library", "keys", "list")):
        done = call("--data-dir", *words)
        advised = f": clipsearch --data-dir '{tmp_path}/my library' {'index' if 'search' in words else 'keys create'} "
        assert advised in done.err
    behind = call("search", "cat", "--data-dir", tmp_path / "other")
    assert f": clipsearch --data-dir {tmp_path}/other index FOLDER" in behind.err
    unsaid = call("search", "cat", environment={"CLIPSEARCH_DATA_DIR": str(tmp_path)})
    assert ": clipsearch index FOLDER" in unsaid.err


def test_a_server_says_at_its_start_which_root_is_not_there(shelf: Shelf, tmp_path: Path) -> None:
    with socket.socket() as taken:  # so that it does not go on
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        roots = {"CLIPSEARCH_ROOTS": f"{tmp_path}{os.pathsep}{tmp_path / 'photos'}"}
        port = str(taken.getsockname()[1])
        done = call("serve", "--port", port, environment={**shelf.environment, **roots})
    assert done.code == 1
    assert f"warning: the folder {tmp_path / 'photos'} (CLIPSEARCH_ROOTS) is not there" in done.err
    assert done.err.count("is not there") == 1


def test_after_a_no_nothing_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        mock.patch("sys.stdin", io.StringIO("n\n")) as typed,
        mock.patch.object(typed, "isatty", return_value=True),
        pytest.raises(click.exceptions.Exit) as ended,
    ):
        ask("delete all?", yes=False)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.endswith("nothing was changed\n")


def test_the_console_script_is_installed_and_answers() -> None:
    script = Path(sys.executable).with_name("clipsearch")
    done = subprocess.run([script, "--version"], capture_output=True, check=True, timeout=60)
    assert done.stdout.startswith(b"clipsearch ")


def test_a_shell_can_ask_for_completions() -> None:
    done = spawn(
        environment={"_CLIPSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": "clipsearch sea", "COMP_CWORD": "1"}
    )
    assert done.out == b"plain,search\n"


def test_after_its_answer_a_search_sees_to_it_that_the_next_one_needs_no_torch(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    shelf = new_shelf(tmp_path_factory.getbasetemp(), "light-shelf")
    variables = {**shelf.environment, "CLIPSEARCH_DTYPE": "float32", "CLIPSEARCH_LIGHT_TEXT": "true"}
    assert call("index", shelf.pictures, environment=variables).code == 0
    first = spawn("search", "a red boat", "--json", environment=variables)
    second = spawn("search", "a red boat", "--json", environment=variables, python=("-X", "importtime"))
    assert first.err == ""
    assert "onnxruntime" in imported(second)
    assert not imported(second) & {"torch", "open_clip", "flask", "rich", "alembic"}
    scores = [[hit["score"] for hit in done.answer["hits"]] for done in (first, second)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "7"}, "7")])
def test_a_command_keeps_numpys_products_to_one_thread_unless_told_otherwise(
    given: dict[str, str], expected: str
) -> None:
    own = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | given
    program = (
        "import atexit, os, sys; from clipsearch.cli import main; sys.argv = ['clipsearch', '--version']\n"
        "atexit.register(lambda: print(os.environ['OPENBLAS_NUM_THREADS'])); main()"
    )
    done = subprocess.run([sys.executable, "-c", program], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == expected
