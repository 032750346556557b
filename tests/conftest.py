"""What every test stands on: an environment of its own, few threads, and skips that cannot hide a hole.

With ``CLIPSEARCH_REFERENCE_DATA`` set a skipped golden test fails, and so do skipped ``browser``, ``clients`` and
``servers`` tests with ``CLIPSEARCH_REQUIRE_BROWSER=1``, ``CLIPSEARCH_REQUIRE_CLIENTS=1`` and
``CLIPSEARCH_REQUIRE_SERVERS=1``. ``pytest -m golden`` fails when it ran none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

# Read by the tests themselves; everything else under our prefix would change what they see.
_FOR_TESTS = {
    "CLIPSEARCH_CONTRACT_CASES",
    "CLIPSEARCH_DEEP_TESTS",
    "CLIPSEARCH_KILL_CYCLES",
    "CLIPSEARCH_KILL_SEED",
    "CLIPSEARCH_REFERENCE_DATA",
    "CLIPSEARCH_REQUIRE_BROWSER",
    "CLIPSEARCH_REQUIRE_CLIENTS",
    "CLIPSEARCH_REQUIRE_SERVERS",
    "CLIPSEARCH_SCREENSHOTS",
}
for _name in [name for name in os.environ if name.upper().startswith("CLIPSEARCH_") and name not in _FOR_TESTS]:
    del os.environ[_name]
# Before torch and the hub's client are imported, and for every process that a test starts.
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
# A conversion for each new library would take seconds; the tests of the other runtime ask for it.
os.environ["CLIPSEARCH_RUNTIME"] = "torch"
# An export after each test's first run would take hours together; tests of the export ask for it themselves.
os.environ["CLIPSEARCH_LIGHT_TEXT"] = "false"
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("clipsearch", deadline=None)
hypothesis.settings.load_profile("clipsearch")

# The second imports the first.
pytest_plugins = ["postgres_fixture", "library_fixtures", "golden_fixtures", "page_plugin"]

_GOLDEN_RUNS = pytest.StashKey[int]()


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach the library of the person who runs it."""
    nowhere = tmp_path_factory.getbasetemp() / "home"
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(nowhere / name.lower()))


def pytest_configure(config: pytest.Config) -> None:
    """Count from nothing."""
    config.stash[_GOLDEN_RUNS] = 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that must not be into a failure, and count the golden tests that ran."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and (why := _why_it_must_run(item)):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped ({reason}), but {why}"
    elif call.when == "call" and item.get_closest_marker("golden"):
        item.config.stash[_GOLDEN_RUNS] += 1
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """``pytest -m golden`` that compared nothing has shown nothing."""
    expression = str(session.config.option.markexpr)
    asked = re.search(r"\bgolden\b", expression) and not re.search(r"\bnot\s+golden\b", expression)
    only_listed = session.config.option.collectonly
    if asked and not only_listed and session.config.stash[_GOLDEN_RUNS] == 0 and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nno golden test ran: set CLIPSEARCH_REFERENCE_DATA to the folder with real_clip")  # noqa: T201


def reference_data() -> Path | None:
    """The folder of real files and numbers, where there is one."""
    folder = os.environ.get("CLIPSEARCH_REFERENCE_DATA")
    return Path(folder) if folder else None


def _why_it_must_run(item: pytest.Item) -> str | None:
    if item.get_closest_marker("golden") and reference_data() is not None:
        return "CLIPSEARCH_REFERENCE_DATA is set"
    for marker in ("browser", "clients", "servers"):
        name = f"CLIPSEARCH_REQUIRE_{marker.upper()}"
        if item.get_closest_marker(marker) and os.environ.get(name) == "1":
            return f"{name} is set"
    return None
