"""SIGKILL while images are embedded by a further model, and around switches: the collection answers by one model,
whole, and what was embedded is not embedded again.

``CLIPSEARCH_KILL_CYCLES`` sets how often, as for the other kills.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from library_fixtures import draw_many, index, sqlite_url
from switching_fixtures import NEW, OLD, counting, library_of_two
from worker_processes import Worker, Workers

from clipsearch import following
from clipsearch.database.checking import check_file
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search
from clipsearch.switching import add_model, list_models, remove_model

pytestmark = pytest.mark.faults

# Half of them in embedding, half around switches.
CYCLES = max(5, int(os.environ.get("CLIPSEARCH_KILL_CYCLES", "20")) // 2)
SEED = int(os.environ.get("CLIPSEARCH_KILL_SEED", "1"))
PICTURES = 160
SAMPLE = 6


@pytest.fixture
def place(tmp_path: Path, migrated_file: Path) -> Path:
    """Pictures that OLD has embedded."""
    sqlite_url(tmp_path / "data", migrated_file)
    draw_many(tmp_path / "photos", PICTURES)
    with library_of_two(tmp_path / "data") as library:
        index(library, tmp_path / "photos")
    return tmp_path


def said(worker: Worker) -> list[dict[str, Any]]:
    printed = worker.printed()
    assert "Traceback" not in printed, printed
    lines = [line for line in printed.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
    return [json.loads(line) for line in lines]


def killed_after(worker: Worker, seconds: float, until: str = "") -> bool:
    """Kill it after a while, or when it has said a word; whether it was at work still."""
    started = time.monotonic()
    while time.monotonic() - started < seconds and not (until and until in worker.printed()):
        time.sleep(0.001)
    worker.kill()
    return not (until and until in worker.printed())


def check_answers(library: Library, place: Path, chance: random.Random, model: str) -> None:
    """Pictures are found by their own bytes, by the model that is said to answer."""
    assert check_file(library.database) == []
    for path in chance.sample(sorted((place / "photos").iterdir()), SAMPLE):
        answer = search(library, Query(terms=(Term(image=path),), k=1))
        assert answer.model == model
        assert answer.hits[0].image.uri == str(path)
        assert answer.hits[0].score > 0.999, "two models were mixed"


def test_no_kill_in_an_embedding_loses_a_batch_or_touches_what_answers(place: Path, workers: Workers) -> None:
    chance, killed, longest, resumed = random.Random(SEED), 0, 0.6, 0
    for cycle in range(CYCLES):
        worker = workers.run("switch_workers:embed", place / f"{cycle}.txt", str(place / "data"))
        at_work = killed_after(worker, chance.uniform(0, longest), '"finished"')
        words = said(worker)
        killed += at_work
        with library_of_two(place / "data") as library:
            check_answers(library, place, chance, OLD)
            told = {one.name: one for one in list_models(library).models}
            embedded = told[NEW].embedded if NEW in told else 0
            assert embedded >= max((one.get("done", 0) for one in words), default=0), "an embedding was lost"
            if NEW in told:
                assert told[NEW].state in {"ready", "incomplete"}, "a killed run seems to be at work"
            resumed += 0 < embedded < PICTURES
            if not at_work or (embedded == PICTURES and NEW in told):
                remove_model(library, NEW)
    assert killed >= CYCLES // 4, "the kills came too late to mean anything"
    with library_of_two(place / "data") as library:
        before = {one.name: one for one in list_models(library).models}.get(NEW)
        report = add_model(library, NEW)
        assert (report.lacking, report.failed) == (0, [])
        assert counting(library, NEW).images == PICTURES - (before.embedded if before else 0), "done twice"
        states = {run.state for run in following.list_runs(library, kind="embed", limit=1_000)}
        assert states <= {"done", "interrupted", "queued"}


def test_no_kill_around_a_switch_leaves_half_of_it(place: Path, workers: Workers) -> None:
    chance = random.Random(SEED)
    with library_of_two(place / "data") as library:
        add_model(library, NEW)
    seen = set()
    for cycle in range(CYCLES):
        with library_of_two(place / "data") as library:
            model = library.collection().model_name
            worker = workers.run("switch_workers:switch_to_and_fro", place / f"s{cycle}.txt", str(place / "data"))
            wanted = chance.randrange(1, 4)
            deadline = time.monotonic() + 60
            while worker.printed().count('"switched"') < wanted and time.monotonic() < deadline:
                time.sleep(0.001)
            killed_after(worker, chance.uniform(0, 0.1))  # somewhere in the next one
            words = said(worker)
            for one in words:
                model = one.get("switched", model)
            tried = words[-1].get("tried", model) if words else model
            # A library that was open all the time, and one that is opened now.
            now = library.collection().model_name
            assert now in {model, tried}, "a switch that was said is lost"
            check_answers(library, place, chance, now)
            with library_of_two(place / "data") as again:
                check_answers(again, place, chance, now)
                assert {one.name: one.embedded for one in list_models(again).models} == {OLD: PICTURES, NEW: PICTURES}
            seen.add(now)
    assert seen == {OLD, NEW}
