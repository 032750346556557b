"""The reference of commands, settings and routes is that of the code, and names all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import write_reference

from clipsearch.config import Settings
from clipsearch.environment import PREFIX

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["commands.md", "settings.md", "routes.md"])
def test_the_committed_reference_is_what_the_code_says(name: str) -> None:
    committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert committed == write_reference.pages()[name], "renew it: python scripts/write_reference.py"


def test_no_setting_command_or_route_is_left_out() -> None:
    pages = write_reference.pages()
    for name in Settings.model_fields:
        assert f"`{PREFIX}{name.upper()}`" in pages["settings.md"]
    for command in ("clipsearch search", "clipsearch labels add-example", "clipsearch db upgrade"):
        assert f"\n## {command}\n" in pages["commands.md"]
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in pages["routes.md"]


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
