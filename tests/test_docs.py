"""The documents tell the truth: settings, modules, commands and the Python example are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import clipsearch
from clipsearch.config import Settings
from clipsearch.environment import PREFIX

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _commands() -> list[list[str]]:
    """Every command of ours in the shell blocks of the documents, once each."""
    found = {}
    for guide in GUIDES:
        for block in re.findall(r"```sh\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.S):
            for line in block.replace("\\\n", " ").splitlines():
                ours = re.match(r"\s*(?:[A-Z_]+=\S+ )*clipsearch ([^|]*)", line)
                if ours:
                    words = shlex.split(ours[1], comments=True)
                    found[tuple(words)] = words
    return list(found.values())


def test_the_readme_names_no_setting_that_is_not_there() -> None:
    named = set(re.findall(rf"`({PREFIX}[A-Z_]+)`", README))
    assert named - {f"{PREFIX}CONFIG"} <= {PREFIX + name.upper() for name in Settings.model_fields}


def test_the_readme_gives_the_defaults_of_the_code() -> None:
    defaults = dict(re.findall(rf"\| `{PREFIX}([A-Z_]+)` \| `?([^`|]+?)`? \|", README))
    checked = {"MODEL", "DEVICE", "COLLECTION", "MAX_UPLOAD_BYTES"}
    assert checked <= defaults.keys()
    for name in checked:
        assert defaults[name] == str(Settings.model_fields[name.lower()].default)


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_of_the_documents_is_understood(words: list[str], tmp_path: Path) -> None:
    from clipsearch.cli.commands import cli

    command: click.Command = cli
    context = click.Context(cli, info_name="clipsearch")
    rest = list(words)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)  # raises for one that there is not
        assert found is not None
        command = found
        context = click.Context(command, info_name=name, parent=context)
    options = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.split("=")[0] for word in rest if word.startswith("-") and not re.fullmatch(r"-?\d.*", word)}
    assert used <= options


def test_every_room_of_the_map_is_there_and_every_room_is_on_the_map() -> None:
    table = ARCHITECTURE[ARCHITECTURE.index("## The house") : ARCHITECTURE.index("## Three decisions")]
    named = {name.rstrip("/") for name in re.findall(r"^\| `([\w./]+)` \|", table, flags=re.M)}
    package = Path(clipsearch.__file__).parent
    rooms = {
        path.name
        for path in package.iterdir()
        if (path.suffix == ".py" or path.is_dir()) and not path.name.startswith("__")
    }
    assert named - {"migrations"} == rooms


def test_every_file_that_a_document_links_to_is_there() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_python_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    example = re.search(r"```python\n(.*?)```", README, flags=re.S)
    assert example is not None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLIPSEARCH_MODEL", "demo")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pictures").mkdir()
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        Image.new("RGB", (64, 64), colour).save(tmp_path / "Pictures" / f"{name}.png")
    Image.new("RGB", (64, 64), (9, 200, 9)).save(tmp_path / "cat.jpg")
    printed: list[str] = []
    exec(compile(example[1], "README.md", "exec"), {"print": lambda *words: printed.append(" ".join(map(str, words)))})
    assert len(printed) == 3
    assert printed[-1] in {"cat", "dog"}
