"""``clipsearch config show``: every setting with its value, its source and what it is for, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_fixtures import call

from clipsearch.config import Settings, read_settings
from clipsearch.environment import PREFIX
from clipsearch.provenance import shown_settings, sources


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_setting_is_shown_with_value_source_and_meaning(tmp_path: Path) -> None:
    (tmp_path / "clipsearch.toml").write_text('port = 8123\ncollection = "holiday"\n')
    environment = {"CLIPSEARCH_DTYPE": "float32", "clipsearch_work_slots": "7", "CLIPSEARCH_COLLECTION": "summer"}
    answer = call("config", "show", "--json", "--device", "cpu", environment=environment).answer
    assert set(answer["settings"]) == set(answer["from"]) == set(answer["where"]) == set(Settings.model_fields)
    assert all(answer["descriptions"].values())
    shown = {name: (answer["settings"][name], answer["from"][name], answer["where"][name])
             for name in ("device", "dtype", "work_slots", "port", "collection", "host")}  # fmt: skip
    assert shown == {
        "device": ("cpu", "flag", "--device"),
        "dtype": ("float32", "environment", "CLIPSEARCH_DTYPE"),
        "work_slots": (7, "environment", "clipsearch_work_slots"),
        "port": (8123, "file", str(tmp_path / "clipsearch.toml")),
        "collection": ("summer", "environment", "CLIPSEARCH_COLLECTION"),
        "host": ("127.0.0.1", "default", None),
    }


def test_the_table_names_the_source_and_can_say_what_a_setting_is(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("port = 8123\n")
    environment = {"CLIPSEARCH_CONFIG": str(tmp_path / "mine.toml"), "CLIPSEARCH_DTYPE": "float32"}
    done = call("config", "show", environment=environment)
    rows = {line.split()[0]: line.split() for line in done.text.splitlines()}
    assert rows["port"] == ["port", "8123", str(tmp_path / "mine.toml")]
    assert rows["dtype"] == ["dtype", "float32", "CLIPSEARCH_DTYPE"]
    assert rows["host"] == ["host", "127.0.0.1", "default"]
    assert str(tmp_path / "mine.toml") in done.err
    meaning = Settings.model_fields["port"].description or "?"
    assert meaning in call("config", "show", "--describe", environment=environment).text
    assert meaning not in done.text


def test_the_source_is_the_one_whose_value_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting alone in each place: what is said of its source is where its value comes from."""
    for name in ("RUNTIME", "LIGHT_TEXT"):  # which the tests set for themselves
        monkeypatch.delenv(PREFIX + name, raising=False)
    values = {name: value for name, value in read_settings().model_dump(mode="json").items()
              if isinstance(value, str | int | float) and not isinstance(value, bool)}  # fmt: skip
    assert len(values) > 15
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name.upper(), str(value))
        assert sources({})[name] == ("environment", PREFIX + name.upper())
        assert sources({name: value})[name][0] == "flag"
        monkeypatch.delenv(PREFIX + name.upper())
        written = f'"{value}"' if isinstance(value, str) else value
        (tmp_path / "clipsearch.toml").write_text(f"{name} = {written}\n")
        assert [key for key, one in sources({}).items() if one.kind != "default"] == [name]
        assert sources({})[name] == ("file", str(tmp_path / "clipsearch.toml"))
        (tmp_path / "clipsearch.toml").unlink()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:hunter2secret@host/images",
        "postgresql+psycopg://me:hunter2secret@sub@host/images",
        "postgresql://me@host/images?password=hunter2secret",
        "postgresql://me@host/images?sslpassword=hunter2secret&sslmode=require",
        "no url at all: password=hunter2secret",
    ],
)
def test_passwords_are_masked_wherever_a_url_holds_them(url: str) -> None:
    for arguments in ((), ("--json",), ("--describe",)):
        done = call("config", "show", *arguments, environment={"CLIPSEARCH_DATABASE_URL": url})
        assert done.code == 0
        assert "hunter2secret" not in done.text + done.err
    given = call("config", "show", "--database-url", url, "--json")
    assert "hunter2secret" not in given.text + given.err
    assert given.answer["where"]["database_url"] == "--database-url"


def test_a_password_in_a_value_that_does_not_fit_is_masked_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "clipsearch.toml").write_text('database_url = ["postgresql://me:hunter2secret@host/x"]\n')
    done = call("config", "show")
    assert done.code == 1
    assert "CLIPSEARCH_DATABASE_URL" in done.err
    assert "hunter2secret" not in done.err


def test_to_look_makes_nothing(tmp_path: Path) -> None:
    done = call("config", "show", "--json", "--data-dir", tmp_path / "library")
    assert done.answer["settings"]["database_url"] == f"sqlite:///{tmp_path / 'library' / 'clipsearch.db'}"
    assert not (tmp_path / "library").exists()


def test_what_is_shown_is_what_is_used() -> None:
    settings = read_settings(collection="summer", work_slots=3)
    shown = shown_settings(settings)
    again = Settings(**{name: value for name, value in shown.items() if name != "database_url"})
    assert again == settings
