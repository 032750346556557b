"""Measures what clipsearch promises of its speed, its rivals beside it: ``scripts/benchmark.py --help``.

Each sub-command prints its figures, the goal beside each that has one, and keeps them with the machine's data as
JSON. What takes long to make (models, pictures, vectors, libraries, the rivals' environments) is kept in the work
folder. ``--quick`` needs nothing but the project installed: no network, no work folder, and under 50 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line has it, before numpy is imported

from benchmarking.figures import Report, as_markdown, describe_machine, save

WORK = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clipsearch-benchmark"
MILLION = 1_000_000
GROWTH = (10_000, 100_000, MILLION, 5 * MILLION)


@dataclass(frozen=True)
class Command:
    """One line of the table: what it measures, its usual sizes, and the call."""

    help: str
    run: Callable[[Report, argparse.Namespace], None]
    images: int | None = None
    vectors: int | None = None
    runs: int = 3


def _index_640(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.indexing import index_640

    index_640(report, given.work, images=given.images, runs=given.runs, runtimes=given.runtimes, rivals=given.rivals)


def _index_12mp(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.camera import index_12mp

    index_12mp(report, given.work, images=given.images, runs=given.runs)


def _text(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.texts import text

    text(report, given.work, runs=given.runs)


def _cold_search(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.cold import cold_search

    cold_search(report, given.work, vectors=given.vectors, runs=given.runs, rivals=given.rivals)


def _search(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.searching import search

    search(report, given.work, vectors=given.vectors, queries=given.queries)


def _filters(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.searching import filters

    filters(report, given.work, vectors=given.vectors, queries=given.queries)


def _open_rebuild(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.searching import open_and_rebuild

    open_and_rebuild(report, given.work, vectors=given.vectors, runs=given.runs)


def _serve(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.serving import serve

    serve(report, given.work, vectors=given.vectors, seconds=given.seconds, queries=given.queries, runs=given.runs)


def _prepare(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.serving import prepare

    prepare(report, given.work, vectors=given.vectors)


def _classify_stored(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.classifying import classify_many

    classify_many(report, given.work, vectors=given.vectors, runs=given.runs)


def _classify_http(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.classifying import classify_http

    classify_http(report, given.work, runs=given.runs)


def _growth(report: Report, given: argparse.Namespace) -> None:
    """Each size in a process of its own, so that its peak of memory is its own."""
    if given.vectors:
        from benchmarking.searching import growth

        growth(report, given.work, vectors=given.vectors, queries=given.queries)
        return
    for vectors in GROWTH:
        with tempfile.TemporaryDirectory(prefix="clipsearch-benchmark-") as scratch:
            output = Path(scratch) / "growth.json"
            command = [sys.executable, __file__, "growth", "--work", str(given.work), "--output", str(output)]
            subprocess.run([*command, "--vectors", str(vectors), "--queries", str(given.queries)], check=True)
            for figure in json.loads(output.read_text(encoding="utf-8"))["figures"]:
                report.keep(figure)


def _gpu(report: Report, given: argparse.Namespace) -> None:
    from benchmarking.gpu import gpu

    gpu(report, given.work, images=given.images, runs=given.runs)


COMMANDS: dict[str, Command] = {
    "index-640": Command("index JPEGs of 640×480 beside the bound and the rivals", _index_640, images=500),
    "index-12mp": Command("index JPEGs of 12 megapixels beside open_clip's plain transform", _index_12mp, images=96),
    "text": Command("encode one short text query beside eager float32", _text, runs=40),
    "cold-search": Command("search from the command line in a cold process", _cold_search, vectors=100_000, runs=7),
    "search-1m": Command("one vector query on one thread: time and recall", _search, vectors=MILLION),
    "filters": Command("filters that keep 10, 1 and 0.1 %", _filters, vectors=MILLION),
    "open-rebuild": Command("open a collection, and rebuild its index", _open_rebuild, vectors=MILLION),
    "classify-stored": Command("1,000 labels for all that is stored", _classify_stored, vectors=MILLION),
    "classify-http": Command("1,000 labels for one upload over HTTP", _classify_http, runs=60),
    "prepare-5m": Command("only make what serve-5m needs", _prepare, vectors=5 * MILLION),
    "serve-5m": Command("searches over HTTP by 32 clients", _serve, vectors=5 * MILLION),
    "growth": Command("build, open and search at 10 thousand to 5 million", _growth),
    "gpu": Command("images a second on a CUDA GPU", _gpu, images=4_000),
}


_OTHERS: dict[str, Command] = {
    "all": Command("every one of them, one after the other", _text),
    "show": Command("print the figures that are kept as tables of Markdown", _text),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command, or the short benchmark; 0 when everything was measured."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)  # servers are ended and temporary folders removed all the same
    if given.quick:
        return _quick(given.output)
    if given.command is None:
        _parser().error("name a sub-command, or --quick")
    if given.command == "show":
        return _show(given.work)
    names = list(COMMANDS) if given.command == "all" else [given.command]
    failed = [name for name in names if not _measured(name, given, alone=len(names) == 1)]
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _measured(name: str, given: argparse.Namespace, *, alone: bool) -> bool:
    command = COMMANDS[name]
    usual = {"images": command.images, "vectors": command.vectors, "runs": command.runs}
    chosen = argparse.Namespace(**vars(given))
    for option, value in usual.items():
        if getattr(chosen, option, None) is None:
            setattr(chosen, option, value)
    print(f"\n{name}: {command.help}\n{describe_machine()}", flush=True)
    settings = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in vars(chosen).items()
        if value is not None
    }
    report = Report(name, settings=settings)
    started = time.monotonic()
    try:
        command.run(report, chosen)
    except Exception as error:  # one line of the table must not cost the others
        if alone:
            raise
        print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return False
    finally:
        output = given.output if alone and given.output else given.work / "figures" / f"{name}.json"
        save(output, report.as_json() | {"seconds": time.monotonic() - started})
    print(f"kept in {output}; {time.monotonic() - started:.0f} s", flush=True)
    return True


def _stop(*_signal: object) -> None:
    sys.exit(143)


def _show(work: Path) -> int:
    """Print what was kept, each sub-command's figures as a table of Markdown."""
    kept = [work / "figures" / f"{name}.json" for name in COMMANDS]
    for path in kept:
        if path.is_file():
            print(as_markdown(json.loads(path.read_text(encoding="utf-8"))))
    return 0


def _quick(output: Path | None) -> int:
    from benchmarking.quick import quick

    print(describe_machine(), flush=True)
    figures = quick()
    if output is not None:
        save(output, {"command": "quick", "figures": figures})
    print(json.dumps(figures), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six figures in under 50 seconds, as one JSON line")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to keep the JSON")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in {**COMMANDS, **_OTHERS}.items():
        shown = command.help.replace("%", "%%")  # argparse fills in the rest
        one = commands.add_parser(name, help=shown, description=shown)
        one.add_argument("--work", type=Path, default=WORK, metavar="DIR", help=f"what is kept (default {WORK})")
        # Not given here, the option before the sub-command holds.
        one.add_argument(
            "--output", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="where to keep the JSON"
        )
        one.add_argument("--runs", type=int, metavar="N", help=f"runs to take the median of (default {command.runs})")
        one.add_argument("--images", type=int, metavar="N", help=f"pictures (default {command.images})")
        one.add_argument("--vectors", type=int, metavar="N", help=f"vectors (default {command.vectors})")
        one.add_argument("--queries", type=int, default=200, metavar="N", help="queries of each kind (default 200)")
        one.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long each load lasts")
        one.add_argument("--no-rivals", dest="rivals", action="store_false", help="only ours; needs no network")
        one.add_argument("--runtimes", nargs="+", choices=["torch", "openvino"], default=_runtimes())
    return parser


def _runtimes() -> list[Any]:
    from importlib.util import find_spec

    return ["torch", "openvino"] if find_spec("openvino") else ["torch"]


if __name__ == "__main__":
    sys.exit(main())
