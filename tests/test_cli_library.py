from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_fixtures import PICTURES, Shelf, call, indexed_shelf

from clipsearch.answers import CollectionInfo, DoctorReport, ImageDetails, ImageInfo, StatusReport


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return indexed_shelf(tmp_path_factory.getbasetemp())


@pytest.fixture
def data(shared: Shelf, tmp_path: Path) -> Path:
    """A copy of the shared library, to be changed; the pictures stay where they are."""
    shutil.copytree(shared.data, tmp_path / "library")
    return tmp_path / "library"


def test_status_tells_what_there_is(shared: Shelf) -> None:
    report = StatusReport.model_validate(shared.call("status", "--json").answer)
    assert [(one.name, one.images, one.failures) for one in report.collections] == [("default", PICTURES + 1, 1)]
    told = shared.call("status").text
    assert str(shared.data) in told
    assert "24 dimensions, 7 embeddings" in told


def test_status_of_nothing_says_how_to_begin(shared: Shelf, tmp_path: Path) -> None:
    done = shared.call("status", "--data-dir", tmp_path)
    assert done.code == 0
    assert f"clipsearch --data-dir {tmp_path} index FOLDER" in done.err


def test_collections_are_made_renamed_shown_and_deleted(shared: Shelf, data: Path) -> None:
    here = ("--data-dir", data)
    made = CollectionInfo.model_validate(shared.call("collections", "create", "holiday", "--json", *here).answer)
    assert (made.name, made.images) == ("holiday", 0)
    assert shared.call("collections", "create", "holiday", *here).code == 1
    assert shared.call("collections", "create", "with/slash", *here).code == 1
    assert shared.call("collections", "rename", "holiday", "greece", *here).code == 0
    assert shared.call("collections", "rename", "greece", "default", *here).code == 1
    found = shared.call("collections", "list", "--json", *here).answer["collections"]
    assert [one["name"] for one in found] == ["default", "greece"]
    shown = CollectionInfo.model_validate(shared.call("collections", "show", "default", "--json", *here).answer)
    assert shown.index is not None
    assert shown.index.images == PICTURES + 1
    assert "flat_fp16" in shared.call("collections", "show", *here).text
    refused = shared.call("collections", "delete", "default", *here)
    assert refused.code == 2
    assert f"embeddings of {PICTURES + 1} images" in refused.err
    assert shared.call("collections", "delete", "default", "--yes", "--json", *here).answer == {"deleted": "default"}
    assert shared.call("collections", "show", "default", *here).code == 1
    assert (shared.pictures / "picture-0.png").exists()


def test_images_are_listed_page_by_page(shared: Shelf) -> None:
    first = shared.call("images", "list", "--limit", str(PICTURES), "--json").answer
    assert len([ImageInfo.model_validate(one) for one in first["images"]]) == PICTURES
    last = shared.call("images", "list", "--after", str(first["next"]), "--json").answer
    assert len(last["images"]) == 1
    assert last["next"] is None
    assert shared.call("images", "list", "--format", "GIF").code == 3
    assert "48 x 40" in shared.call("images", "list", "--glob", "*.png").text


def test_images_are_shown_and_removed(shared: Shelf, data: Path) -> None:
    here = ("--data-dir", data)
    path = shared.pictures / "picture-0.png"
    image = ImageDetails.model_validate(shared.call("images", "show", path, "--json", *here).answer)
    assert str(path) in shared.call("images", "show", str(image.id), *here).text
    other = shared.pictures / "picture-1.png"
    half = shared.call("images", "remove", str(image.id), "999999", *here)
    assert half.code == 1
    gone = shared.call("images", "remove", str(image.id), other, "--json", *here).answer["removed"]
    assert [one["uri"] for one in gone] == [str(path), str(other)]
    assert shared.call("images", "show", path, *here).code == 1
    assert len(shared.call("images", "list", "--json", *here).answer["images"]) == PICTURES - 1
    assert path.exists()


def test_a_backup_comes_back_where_there_was_no_library(shared: Shelf, tmp_path: Path) -> None:
    backup = tmp_path / "library.backup"
    assert shared.call("backup", backup, "--json").answer["bytes"] == backup.stat().st_size
    assert shared.call("backup", backup).code == 1
    assert shared.call("backup", backup, "--replace").code == 0
    here = ("--data-dir", tmp_path / "new")
    assert shared.call("restore", backup, "--json", *here).answer["collections"] == ["default"]
    assert len(shared.call("similar", "1", "--json", *here).answer["hits"]) == PICTURES
    assert shared.call("restore", backup, *here).code == 1
    assert shared.call("restore", backup, "--replace", *here).code == 0
    (tmp_path / "rubbish").write_text("no library")
    assert shared.call("restore", tmp_path / "rubbish", "--replace", *here).code == 1
    assert len(shared.call("similar", "1", "--json", *here).answer["hits"]) == PICTURES


def test_the_doctor_finds_what_is_wrong_and_mends_it(shared: Shelf, data: Path, tmp_path: Path) -> None:
    here = ("--data-dir", data)
    healthy = shared.call("doctor", "--json", *here)
    assert healthy.code == 0
    assert DoctorReport.model_validate(healthy.answer).healthy
    shutil.copytree(shared.pictures, tmp_path / "pictures")
    assert shared.call("index", tmp_path / "pictures", *here).code == 0
    (tmp_path / "pictures" / "picture-0.png").unlink()
    ill = shared.call("doctor", *here)
    assert ill.code == 1
    assert f"    {tmp_path}/pictures/picture-0.png\n" in ill.text
    assert f"clipsearch --data-dir {data} doctor --repair" in ill.err
    assert shared.call("doctor", "--repair", *here).code == 0
    assert shared.call("doctor", *here).code == 0


def test_the_schema_is_shown_and_brought_up_to_date(shared: Shelf, tmp_path: Path) -> None:
    here = ("--json", "--data-dir", tmp_path / "library")
    before = shared.call("db", "current", *here).answer
    assert before["current"] is None
    assert not (tmp_path / "library").exists()
    assert shared.call("db", "upgrade", *here).answer == {"before": None, "after": before["newest"]}
    assert shared.call("db", "current", *here).answer["current"] == before["newest"]
    assert "up to date" in shared.call("db", "upgrade", "--data-dir", tmp_path / "library").text


def test_the_settings_are_shown_with_their_origins_and_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clipsearch.toml").write_text("port = 8123\n")
    environment = {"CLIPSEARCH_DATABASE_URL": "postgresql+psycopg://me:secret@host/images", "CLIPSEARCH_DTYPE": "auto"}
    done = call("config", "show", "--json", "--device", "cpu", environment=environment)
    settings, origins = done.answer["settings"], done.answer["from"]
    assert settings["database_url"] == "postgresql+psycopg://me:***@host/images"
    assert settings["port"] == 8123
    assert [origins[name] for name in ("device", "dtype", "port", "host")] == ["flag", "environment", "file", "default"]
    assert b"secret" not in call("config", "show", environment=environment).out


def test_models_are_listed_and_shown_without_a_network() -> None:
    found = call("models", "list", "vit-b-32/op", "--json").answer["models"]
    assert [one["name"] for one in found] == ["ViT-B-32/openai"]
    assert call("models", "list", "no-such-model").code == 3
    assert call("models", "show", "ViT-B-32/openai", "--json").answer["dimension"] == 512
    unknown = call("models", "show", "ViT-B-32/opena")
    assert unknown.code == 1
    assert "ViT-B-32/openai" in unknown.err


def test_a_model_on_disk_is_ready(shared: Shelf) -> None:
    done = shared.call("models", "download", str(shared.folder / "model"))
    assert done.code == 0
    assert done.text == f"{shared.folder / 'model'}\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_a_server_that_others_can_reach_does_not_start_without_a_key(shared: Shelf, host: str) -> None:
    done = shared.call("serve", "--host", host)
    assert done.code == 1
    assert "clipsearch keys create" in done.err


@pytest.mark.parametrize(
    "arguments", [(), ("--host", "localhost"), ("--host", "::1"), ("--host", "0.0.0.0", "--require-key", "always")]
)
def test_serve_hands_the_open_library_to_the_web(
    shared: Shelf, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        "clipsearch.web.serve",
        lambda library, host, port, ready_file=None: seen.extend(
            [library.settings.data_dir, host, port, library.settings.port, ready_file]
        ),
        raising=False,
    )
    done = shared.call("serve", "--port", "0", "--ready-file", tmp_path / "ready", *arguments)
    assert done.code == 0
    host = arguments[1] if arguments else "127.0.0.1"
    assert seen == [shared.data, host, 0, 0, tmp_path / "ready"]


def test_a_server_does_not_upgrade_a_library_by_itself(shared: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipsearch.library import Library

    asked: dict[str, object] = {}

    def refuse(_settings: object, **options: object) -> Library:
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "open", refuse)
    assert shared.call("serve").code == 130
    assert asked == {"may_upgrade": False}
