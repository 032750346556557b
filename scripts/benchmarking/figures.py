"""Turns repeated measurements into figures, prints them and keeps them as JSON; alone knows the report's form."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

_PACKAGES = ("clipsearch", "torch", "open_clip_torch", "openvino", "onnxruntime", "faiss-cpu", "numpy", "pillow")


@dataclass(frozen=True)
class Figure:
    """One measured number: a median of ``runs`` values, with its unit, and the goal where there is one.

    ``goal`` reads like ``>= 0.93`` or ``<= 2.0``.
    """

    name: str
    value: float
    unit: str = ""
    goal: str | None = None
    runs: tuple[float, ...] = ()
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        sign, bound = self.goal.split()
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


@dataclass
class Report:
    """The figures of one sub-command, and the machine that they are of."""

    command: str
    figures: list[Figure] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def add(
        self, name: str, values: float | Sequence[float], unit: str = "", *, goal: str | None = None, note: str = ""
    ) -> float:
        """Note the median of ``values``, print it and give it back."""
        runs = (float(values),) if isinstance(values, int | float) else tuple(float(value) for value in values)
        figure = Figure(name, statistics.median(runs), unit, goal, runs if len(runs) > 1 else (), note)
        self.figures.append(figure)
        print(_line(figure), flush=True)
        return figure.value

    def keep(self, figure: dict[str, Any]) -> None:
        """Take over a figure from another report's JSON."""
        known = {one.name: figure[one.name] for one in fields(Figure)}
        self.figures.append(Figure(**known | {"runs": tuple(known["runs"])}))

    def __getitem__(self, name: str) -> float:
        """The value of the figure of this name. Raises KeyError."""
        for figure in self.figures:
            if figure.name == name:
                return figure.value
        raise KeyError(name)

    def as_json(self) -> dict[str, Any]:
        """The report with the machine, as JSON has it."""
        return {
            "command": self.command,
            "settings": self.settings,
            "machine": machine(),
            "figures": [asdict(figure) | {"reached": figure.reached} for figure in self.figures],
        }


def as_markdown(report: dict[str, Any]) -> str:
    """A report's JSON as a table for a document: figure, median, spread, goal."""
    here = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    lines = [
        f"### {report['command']}",
        "",
        f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB; {here['at'][:10]}; {versions}.",
        "",
        "| figure | median | lowest to highest | goal |",
        "|---|---|---|---|",
    ]
    for figure in report["figures"]:
        runs = figure["runs"]
        spread = f"{min(runs):.4g} to {max(runs):.4g}" if runs else ""
        reached = {True: ", reached", False: ", **not reached**", None: ""}[figure["reached"]]
        note = f" ({figure['note']})" if figure["note"] else ""
        lines.append(
            f"| {figure['name']}{note} | {figure['value']:.4g} {figure['unit']} | {spread} |"
            f" {figure['goal'] or ''}{reached} |"
        )
    return "\n".join(lines) + "\n"


def save(path: Path, report: dict[str, Any]) -> None:
    """Write ``report`` to ``path`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system and the versions of the packages that have a say."""
    import psutil

    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def describe_machine() -> str:
    """One line about the machine, for people."""
    here = machine()
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    return (
        f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB, load {here['load_before']:.1f}; "
        f"Python {here['python']}, {versions}"
    )


def cores() -> int:
    """The cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of ``values`` do not exceed: the nearest rank. Raises ValueError for none."""
    if not values:
        raise ValueError("nothing was measured")
    ranked = sorted(values)
    return ranked[max(0, min(len(ranked) - 1, round(share * len(ranked) + 0.5) - 1))]


def seconds_of(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def repeated(work: Callable[[], Any], runs: int, *, warm: int = 1) -> list[float]:
    """Seconds of each of ``runs`` calls, after ``warm`` calls that do not count."""
    for _ in range(warm):
        work()
    return [seconds_of(work) for _ in range(runs)]


def in_turns(works: dict[str, Callable[[], Any]], runs: int, *, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of each call by name, the works taking turns, so that a slow moment of the machine meets all of them."""
    for work in works.values():
        for _ in range(warm):
            work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            taken[name].append(seconds_of(work))
    return taken


def _line(figure: Figure) -> str:
    reached = {None: "", True: f"  reached ({figure.goal})", False: f"  NOT reached ({figure.goal})"}[figure.reached]
    spread = f"  [{min(figure.runs):.4g} to {max(figure.runs):.4g}, {len(figure.runs)} runs]" if figure.runs else ""
    note = f"  {figure.note}" if figure.note else ""
    return f"{figure.name:<58} {figure.value:>10.4g} {figure.unit}{spread}{reached}{note}"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()
