"""What is installed is what is here: packages, migrations and files in the wheel, versions that fit together."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import clipsearch

ROOT = Path(__file__).resolve().parent.parent


def settings() -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg", encoding="utf-8")
    return read


def words(text: str) -> list[str]:
    return [line for line in (line.strip() for line in text.splitlines()) if line]


def requirements() -> list[Requirement]:
    """What the package asks for, its extras included."""
    read = settings()
    texts = [read["options"]["install_requires"], *read["options.extras_require"].values()]
    return [Requirement(line) for text in texts for line in words(text)]


def constraints() -> dict[str, Version]:
    lines = words((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_every_package_of_the_tree_is_installed() -> None:
    here = {
        ".".join(path.relative_to(ROOT).parts)
        for path in [ROOT / "clipsearch", *(ROOT / "clipsearch").rglob("*")]
        if path.is_dir() and any(path.glob("*.py"))
    } | {"clipsearch.migrations", "clipsearch.migrations.versions"}
    assert here == set(words(settings()["options"]["packages"])), "bring `packages` in setup.cfg up to date"
    for package in here:
        folder = ROOT / package.replace("clipsearch.migrations", "migrations").replace(".", "/")
        assert (folder / "__init__.py").is_file(), f"{package} has no __init__.py"


def test_requirements_are_lower_bounds_that_the_tested_versions_fit() -> None:
    tested = constraints()
    for requirement in requirements():
        typing_stub = requirement.name.startswith("types-")
        bounds = {part.operator for part in requirement.specifier}
        assert typing_stub or ">=" in bounds, f"{requirement} has no lower bound"
        assert not bounds & {"==", "===", "~="}, f"{requirement} is pinned"
        version = tested.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"constraints.txt: {requirement.name} {version}"
    assert all(version.local is None for version in tested.values()), "a local suffix fits one build only"


def test_the_command_leads_somewhere() -> None:
    command = settings()["options.entry_points"]["console_scripts"].strip()
    module, _, name = command.partition("=")[2].strip().partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} is not there"
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert name in defined | imported


def test_what_is_installed_says_the_version_of_the_code() -> None:
    assert importlib.metadata.version("clipsearch") == clipsearch.__version__, "installed before: make setup"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    leave = shutil.ignore_patterns("__pycache__", "*.py[co]")
    for name in ("clipsearch", "migrations"):
        shutil.copytree(ROOT / name, source / name, ignore=leave)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    ended = subprocess.run(
        [*build, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_all_that_the_package_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "clipsearch").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    steps = {
        f"clipsearch/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "migrations").rglob("*")
        if path.suffix in (".py", ".mako")
    }
    assert not (here | steps) - held, "left out: see package_data in setup.cfg"
    strangers = {name for name in held - here - steps if ".dist-info/" not in name}
    assert not strangers
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_the_wheel_finds_its_migrations_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r});"
        "from importlib.resources import files; import clipsearch;"
        "print(clipsearch.__file__); print(*(step.name for step in files('clipsearch.migrations.versions').iterdir()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    where, steps = ended.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert set(steps.split()) >= {path.name for path in (ROOT / "migrations" / "versions").glob("0*.py")}


def test_the_installed_package_finds_its_migrations_from_anywhere(tmp_path: Path) -> None:
    program = "from importlib.resources import files; print(files('clipsearch.migrations') / 'env.py')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).read_bytes() == (ROOT / "migrations" / "env.py").read_bytes()


@pytest.fixture(scope="module")
def dockerfile_script() -> ModuleType:
    path = ROOT / "scripts" / "check_dockerfile.py"
    spec = importlib.util.spec_from_file_location("check_dockerfile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_the_image_runs_unprivileged_with_its_data_outside(dockerfile_script: ModuleType, target: str) -> None:
    stages = dockerfile_script.stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert stages[-1].name == "cpu", "what is built when no target is named"
    chosen = {stage.name: stage for stage in dockerfile_script.needed(stages, target)}
    assert chosen[target].base == "runtime"
    assert f"build-{target}" in chosen
    words_used = [*chosen["runtime"].instructions, *chosen[target].instructions]
    said = {word: rest for word, rest in words_used if word != "COPY"}
    assert said["USER"] == "10001:10001"
    assert said["VOLUME"] == "/data"
    assert "CLIPSEARCH_DATA_DIR=/data" in said["ENV"]
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert "/healthz" in said["HEALTHCHECK"]
    assert not re.search(r"USER (root|0)\b", "\n".join(" ".join(pair) for pair in words_used))


def test_the_image_is_made_of_the_package_and_nothing_else(dockerfile_script: ModuleType) -> None:
    stages = dockerfile_script.stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    copies = [rest for stage in stages for word, rest in stage.instructions if word == "COPY"]
    sources = {source for rest in copies if "--from" not in rest for source in rest.split()[:-1]}
    for source in sources:
        brought = dockerfile_script.copied_from_context(ROOT, source)
        assert brought, f"COPY {source}: nothing of that name gets past .dockerignore"
        assert not [path for path in brought if "__pycache__" in path.parts]
    for kept_back in (".git", ".venv", ".env", "tests", "picture-book"):
        patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert not dockerfile_script.sent_to_builder(Path(kept_back), patterns)


# Whose own interface gives out what these hold, and which asks for them.
_HALVES = {"werkzeug": "flask", "pydantic_core": "pydantic"}


def test_what_the_package_imports_is_what_it_asks_for() -> None:
    """What only comes along with another requirement is gone when that one changes its mind."""
    read = settings()
    extras = [text for name, text in read["options.extras_require"].items() if name != "dev"]
    lines = [line for text in (read["options"]["install_requires"], *extras) for line in words(text)]
    asked_for = {canonicalize_name(Requirement(line).name) for line in lines}
    sources = importlib.metadata.packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "clipsearch").rglob("*.py")
        for name in _imported(path) - set(sys.stdlib_module_names) - {"clipsearch"}
        if asked_for.isdisjoint(canonicalize_name(one) for one in [_HALVES.get(name, name), *sources.get(name, [])])
    }
    assert not undeclared


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found
