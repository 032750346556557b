"""Settings: flags over environment over file, unknown names refused with the nearest known one."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.config import Settings, read_settings
from clipsearch.environment import FOREIGN_NAMES, PREFIX, absolute
from clipsearch.errors import ConfigError
from clipsearch.library import Library


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clipsearch.toml").write_text('collection = "file"\nport = 1111\nmodel = "demo"\n')
    monkeypatch.setenv("CLIPSEARCH_COLLECTION", "environment")
    monkeypatch.setenv("CLIPSEARCH_PORT", "2222")
    settings = read_settings(collection="flag", port=None)
    assert (settings.collection, settings.port, settings.model) == ("flag", 2222, "demo")


def test_without_anything_set_the_defaults_hold(tmp_path: Path) -> None:
    settings = read_settings()
    assert settings == Settings()
    assert settings.embedded
    assert settings.database == settings.data_dir / "clipsearch.db"
    assert settings.host == "127.0.0.1"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings().port = 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CLIPSEARCH_COLECTION", "did you mean CLIPSEARCH_COLLECTION"),
        ("CLIPSEARCH_XYZZY", "known are CLIPSEARCH_"),
        ("clipsearch_prot", "did you mean CLIPSEARCH_PORT"),
    ],
)
def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, words: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError, match=f"{name} is not a setting of clipsearch; {words}"):
        read_settings()


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clipsearch.toml").write_text("prot = 8000\n")
    with pytest.raises(ConfigError, match="prot is not a setting of clipsearch; did you mean port"):
        read_settings()


def test_names_that_are_the_tests_own_are_let_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")
    for name in FOREIGN_NAMES - {"CLIPSEARCH_CONFIG"}:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CLIPSEARCH_CONFIG", str(tmp_path / "mine.toml"))
    assert read_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "http"),
        ("dtype", "int4"),
        ("batch_size", "0"),
        ("lease_seconds", "0"),
        ("lease_seconds", "nan"),
        ("collection", ""),
        ("log_level", "loud"),
        ("max_pixels", "-1"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), value)
    with pytest.raises(ConfigError, match=rf"the setting {name} \(CLIPSEARCH_{name.upper()}\): .*not '{value}'"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("port", "abc", "must be a whole number, not 'abc'"),
        ("dtype", "int4", "must be 'auto', 'float32', 'bfloat16', 'float16' or 'int8', not 'int4'"),
        ("compat", "nope", "there is no wire 'nope' (did you mean openai?); there are lambda, roboflow, clip-retrieval,"
                           " immich, openai, weaviate"),
        ("rate_limit", "fast", "'fast' does not fit; this sets requests of one key or address, as 600/minute, or none;"
                               " 6000/minute where a key is needed, else none, if not set"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_value_is_said_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), value)
    with pytest.raises(ConfigError) as raised:
        read_settings()
    assert raised.value.message == f"the setting {name} (CLIPSEARCH_{name.upper()}): {words}"


@pytest.mark.parametrize("content", [b"port = = 1", b"\xff\xfe", b"[port]\nx = 1"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clipsearch.toml").write_bytes(content)
    with pytest.raises(ConfigError):
        read_settings()


def test_a_file_that_was_named_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLIPSEARCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"none.toml \(CLIPSEARCH_CONFIG\) is not there"):
        read_settings()
    (tmp_path / "mine.toml").write_text("port = 9\n")
    monkeypatch.setenv("CLIPSEARCH_CONFIG", str(tmp_path / "mine.toml"))
    assert read_settings().port == 9


def test_paths_become_absolute_and_the_home_is_meant_by_its_sign(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("CLIPSEARCH_ROOTS", "~/Pictures:here")
    settings = read_settings(data_dir=Path("data"))
    assert settings.roots == (Path("/home/somebody/Pictures"), tmp_path / "here")
    assert settings.data_dir == tmp_path / "data"


def test_two_dots_behind_a_link_are_the_folder_above_its_target(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "far" / "photos").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "photos")
    monkeypatch.setenv("CLIPSEARCH_ROOTS", f"{tmp_path}/link/../more:{tmp_path}/link")
    assert read_settings().roots == (tmp_path / "far" / "more", tmp_path / "link")


def test_the_home_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSEARCH_DATA_DIR", "~nobody-of-this-name/data")
    with pytest.raises(ConfigError, match="no such user"):
        read_settings()


def test_a_servers_url_is_no_embedded_library() -> None:
    settings = read_settings(database_url="postgresql://user@host/name")
    assert not settings.embedded
    assert settings.database == "postgresql://user@host/name"


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c %41"
    with Library.open(read_settings(data_dir=folder)) as library:
        assert library.database.path == folder / "clipsearch.db"
    assert (folder / "clipsearch.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_two_slashes_at_the_start_are_one() -> None:
    assert absolute("//tmp/x") == absolute("/tmp/x") == "/tmp/x"
