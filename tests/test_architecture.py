"""The laws of the house, read from the imports: who may ask whom, and which room holds which heavy library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Who lies higher may ask who lies lower; the demo stands apart, as low as a noun.
FLOORS = {"ground": 0, "noun": 1, "apart": 1, "hall": 2, "verb": 3, "door": 4}
# Every room that is not a verb; verbs are known by their -ing.
ROOMS = {
    "clipsearch": "ground",  # the package itself: its version
    "announcement": "ground",
    "answers": "ground",
    "attributes": "ground",
    "compat": "ground",
    "config": "ground",
    "cursors": "ground",
    "environment": "ground",
    "errors": "ground",
    "label_names": "ground",
    "label_set": "ground",
    "log_lines": "ground",
    "matrices": "ground",
    "media_types": "ground",
    "model": "ground",
    "prompts": "ground",
    "provenance": "ground",
    "queries": "ground",
    "ahead": "ground",
    "stages": "ground",
    "built_in": "noun",
    "database": "noun",
    "scoring": "noun",
    "datasets": "noun",
    "encoder": "noun",
    "images": "noun",
    "label_files": "noun",
    "metrics": "noun",
    "reports": "noun",
    "relevance": "noun",
    "vector_index": "noun",
    "client": "apart",
    "demo": "apart",
    "examples": "hall",
    "choices": "hall",
    "backgrounds": "hall",
    "generations": "hall",
    "indexes": "hall",
    "library": "hall",
    "recent": "hall",
    "trainer": "hall",
    "__main__": "door",
    "api": "door",
    "cli": "door",
    "mcp_server": "door",
    "web": "door",
}
# Imports between rooms of one floor, each with its reason.
NEIGHBOURS = {
    ("backgrounds", "choices"): "prompts whose embeddings are kept",
    ("backgrounds", "indexes"): "the generation that a sample is drawn from",
    ("backgrounds", "library"): "asks for the encoder, and remembers in its memory",
    ("built_in", "label_files"): "the built-in sets are label files",
    ("examples", "library"): "embeds example images by the library's encoders",
    ("choices", "examples"): "a label may be example images",
    ("choices", "library"): "opens what the label sets and their embeddings are read from",
    ("indexes", "generations"): "what it holds, one for each collection",
    ("library", "indexes"): "the half of the hall that holds the indexes",
    ("library", "recent"): "the memory of the hall",
    ("library", "trainer"): "the type of what embeds texts for a training",
    ("indexes", "trainer"): "what is trained beside the indexes takes their place",
    ("__main__", "cli"): "`python -m clipsearch` is the command line",
}
# Doors that open another, only when asked to: inside a function.
LATE_NEIGHBOURS = {
    ("cli", "mcp_server"): "`clipsearch mcp` starts the server",
    ("cli", "web"): "`clipsearch serve` starts the server",
}

HEAVY = {
    "torch": {"encoder", "matrices"},
    "torchvision": {"encoder"},
    "open_clip": {"encoder"},
    "timm": {"encoder"},
    "huggingface_hub": {"encoder"},
    "safetensors": {"encoder"},
    "openvino": {"encoder"},
    "nncf": {"encoder"},
    "faiss": {"vector_index"},
    "sqlalchemy": {"database"},
    "alembic": {"database"},
    "psycopg": {"database"},
    "pyarrow": {"datasets"},
    "PIL": {"images", "demo"},
    "pillow_heif": {"images"},
    "rawpy": {"images"},
    "click": {"cli"},
    "rich": {"cli"},
    "flask": {"web"},
    "apiflask": {"web"},
    "flask_cors": {"web"},
    "flask_limiter": {"web"},
    "limits": {"web"},
    "werkzeug": {"web"},
    "waitress": {"web"},
    "prometheus_client": {"web"},
    "mcp": {"mcp_server"},
    "mcp_types": {"mcp_server"},
    "httpcore2": {"fetching"},
}
EMPTY_WORDS = {"utils", "helpers", "common", "core", "manager", "service", "misc"}
# Of pickle only the names of its errors: reading one runs whatever its writer wished.
HARMLESS_IN_PICKLE = {"PickleError", "PicklingError", "UnpicklingError"}


@dataclass(frozen=True)
class Import:
    """One import: what is asked for, where, and whether it happens at all (not only for types) and at once."""

    target: str
    line: int
    typing_only: bool
    late: bool


def room_of(module: str) -> str:
    """The room of a dotted name of ours; the migrations belong to the database."""
    parts = module.split(".")
    room = parts[1] if parts[0] == "clipsearch" and len(parts) > 1 else parts[0]
    return "database" if room == "migrations" else room


def floor_of(room: str) -> str | None:
    return ROOMS.get(room, "verb" if room.endswith("ing") else None)


def imports_of(module: str, text: str, *, is_package: bool = False) -> list[Import]:
    """All imports of a module, `importlib.import_module("…")` among them, `from clipsearch import x` as room x."""
    package = module if is_package else module.rpartition(".")[0]

    def targets(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            if origin == "clipsearch":
                yield from (f"clipsearch.{alias.name}" for alias in node.names)
            else:
                yield origin
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = ast.unparse(node.func)
            if name in ("importlib.import_module", "import_module", "__import__"):
                yield str(node.args[0].value)

    def visit(node: ast.AST, typing_only: bool, late: bool) -> Iterator[Import]:
        for target in targets(node):
            # The version is the package's own; its other public names live elsewhere and are for those outside.
            home = "clipsearch" if target == "clipsearch.__version__" else target
            yield Import(home, getattr(node, "lineno", 0), typing_only, late)
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        body = node.body if isinstance(node, ast.If) else []
        for child in ast.iter_child_nodes(node):
            yield from visit(child, typing_only or (guarded and child in body), late)

    return list(visit(ast.parse(text), False, False))


def broken_import_laws(module: str, text: str, *, is_package: bool = False) -> list[str]:
    """What a module's imports do that the house does not allow."""
    room = room_of(module)
    floor = floor_of(room)
    if floor is None:
        return [f"{module}: the room {room} has no floor; name it in ROOMS, or find the verb it is"]
    broken = []
    for asked in imports_of(module, text, is_package=is_package):
        where = f"{module}:{asked.line}: {asked.target}"
        first = asked.target.split(".")[0]
        if first in HEAVY and room not in HEAVY[first] and not asked.typing_only:
            broken.append(f"{where}: {first} belongs to {', '.join(sorted(HEAVY[first]))}")
        if first not in ("clipsearch", "migrations"):
            continue
        other = room_of(asked.target)
        other_floor = floor_of(other)
        pair = (room, other)
        if other == room or pair in NEIGHBOURS or (asked.late and pair in LATE_NEIGHBOURS):
            continue
        if module == "clipsearch" and asked.typing_only:
            continue  # the public names, for type checkers
        if other_floor is None:
            broken.append(f"{where}: is no room, or a public name, which is for those outside")
        elif room == "matrices":
            broken.append(f"{where}: matrices knows nothing of ours")
        elif FLOORS[other_floor] > FLOORS[floor]:
            broken.append(f"{where}: a {other_floor} lies above a {floor}")
        elif FLOORS[other_floor] == FLOORS[floor] and floor != "ground":
            broken.append(f"{where}: one {floor} does not ask another")
    return broken


def unsafe_readings(module: str, text: str) -> list[str]:
    """Where a module reads, or could read, objects that run code as they are read."""
    broken = []
    for node in ast.walk(ast.parse(text)):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "cPickle", "dill", "joblib"):
            if {alias.name for alias in node.names} - HARMLESS_IN_PICKLE:
                broken.append(f"{where}: {node.module}")
        elif isinstance(node, ast.Import):
            broken += [f"{where}: {alias.name}" for alias in node.names if alias.name in ("dill", "joblib")]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            if node.attr not in HARMLESS_IN_PICKLE:
                broken.append(f"{where}: pickle.{node.attr}")
        elif isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if ast.unparse(node.func) == "torch.load" and given.get("weights_only") != "True":
                broken.append(f"{where}: torch.load without weights_only=True")
            if given.get("allow_pickle", "False") != "False":
                broken.append(f"{where}: allow_pickle")
    return broken


def modules(*folders: str) -> list[tuple[str, Path]]:
    """The modules below folders of the checkout, as dotted name and file."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def test_each_room_asks_only_whom_it_may() -> None:
    broken = [
        complaint
        for module, path in modules("clipsearch", "migrations")
        for complaint in broken_import_laws(
            module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py"
        )
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_nothing_reads_what_could_run_code() -> None:
    broken = [
        complaint
        for module, path in modules("clipsearch", "migrations", "scripts")
        for complaint in unsafe_readings(module, path.read_text(encoding="utf-8"))
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_no_room_has_an_empty_name() -> None:
    named = {part for module, _ in modules("clipsearch") for part in module.split(".")}
    stems = named | {part.removesuffix("s") for part in named}
    assert not stems & (EMPTY_WORDS | {word.removesuffix("s") for word in EMPTY_WORDS})


def test_the_map_shows_the_floors_that_are_held() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = dict(re.findall(r"^\| `(\w+)(?:\.py|/)` \| (\w+) \|", text, flags=re.MULTILINE))
    assert drawn
    assert {room: floor_of(room) for room in drawn} == drawn


def test_every_room_of_the_tables_is_spelled_like_one_that_stands() -> None:
    used = {room for pair in (*NEIGHBOURS, *LATE_NEIGHBOURS) for room in pair}
    used |= {room for rooms in HEAVY.values() for room in rooms}
    verbs = {room for room in map(room_of, dict(modules("clipsearch"))) if room.endswith("ing")}
    assert used <= set(ROOMS) | verbs


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("clipsearch.searching", "import torch", "torch belongs to encoder, matrices"),
        ("clipsearch.library", "def f():\n    import faiss.contrib", "faiss belongs to vector_index"),
        ("clipsearch.web.pages", "from PIL import Image", "PIL belongs to demo, images"),
        ("clipsearch.library", "import importlib\nimportlib.import_module('open_clip')", "open_clip belongs"),
        ("clipsearch.searching", "from clipsearch.indexing import index_source", "one verb does not ask another"),
        ("clipsearch.searching", "def f():\n    from clipsearch import indexing", "one verb does not ask another"),
        ("clipsearch.images.opening", "from clipsearch.database import images", "one noun does not ask another"),
        ("clipsearch.images.opening", "from .. import library", "a hall lies above a noun"),
        ("clipsearch.errors", "from clipsearch.images import find_images", "a noun lies above a ground"),
        ("clipsearch.library", "import clipsearch.searching", "a verb lies above a hall"),
        ("clipsearch.indexing.run", "from clipsearch.web import create_app", "a door lies above a verb"),
        ("clipsearch.cli", "from clipsearch.web import create_app", "one door does not ask another"),
        ("clipsearch.web.api", "def f():\n    from clipsearch import cli", "one door does not ask another"),
        ("clipsearch.matrices", "from clipsearch.errors import InvalidInput", "matrices knows nothing of ours"),
        ("clipsearch.searching", "from clipsearch import open_library", "is no room"),
        ("clipsearch.toolbox", "import os", "has no floor"),
        ("migrations.env", "from clipsearch import library", "a hall lies above a noun"),
    ],
)  # fmt: skip
def test_a_broken_import_law_is_seen(module: str, text: str, complaint: str) -> None:
    assert complaint in "\n".join(broken_import_laws(module, text))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("clipsearch.cli", "def serve():\n    from clipsearch.web import create_app"),
        ("clipsearch.searching", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from PIL import Image"),
        ("clipsearch.inspecting", "from clipsearch import __version__"),
        ("clipsearch.indexing.run", "from clipsearch.indexing.planning import Plan"),
        ("clipsearch.config", "from clipsearch.errors import ConfigError"),
        ("migrations.env", "from clipsearch.database.schema import metadata\nfrom alembic import context"),
    ],
)  # fmt: skip
def test_what_the_house_allows_is_let_through(module: str, text: str) -> None:
    assert broken_import_laws(module, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import Unpickler",
        "import joblib",
        "import torch\ntorch.load('weights.pt')",
        "import torch\ntorch.load('weights.pt', weights_only=False)",
        "import numpy as np\nnp.load('rows.npy', allow_pickle=True)",
    ],
)
def test_a_reading_that_could_run_code_is_seen(text: str) -> None:
    assert len(unsafe_readings("m", text)) == 1


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("clipsearch", set(HEAVY)),
        ("clipsearch.library", {"torch", "torchvision", "open_clip", "timm", "faiss", "flask", "apiflask"}),
        ("clipsearch.cli", {"torch", "torchvision", "open_clip", "timm", "faiss", "flask", "apiflask"}),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(module: str, kept_out: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert not kept_out & set(ended.stdout.split())
