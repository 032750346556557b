"""The page on operating tells the truth: its limits are the code's, its series are those that are measured."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from clipsearch import queries
from clipsearch.config import Settings, read_settings
from clipsearch.label_files.checking import MAX_STORED_LABELS
from clipsearch.library import Library
from clipsearch.web import admission, binding, create_app, jobs, messages, serving, slots
from clipsearch.web.wires import vectors

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "operating.md").read_text(encoding="utf-8")


def default(name: str) -> Any:
    return Settings.model_fields[name].default


def longest(kind: Any) -> int:
    return int(next(one.max_length for one in kind.__metadata__[0].metadata if hasattr(one, "max_length")))


LIMITS = {
    "images in an answer (`k`)": queries.MAX_K,
    "`offset` + `k`": queries.MAX_DEPTH,
    "terms of a query": queries.MAX_TERMS,
    "searches in a batch": queries.MAX_QUERIES,
    "dimensions of a vector": queries.MAX_DIMENSION,
    "tags or formats in a filter": queries.MAX_TAGS,
    "labels given with a question": queries.MAX_LABELS,
    "labels times templates given with a question": queries.MAX_PROMPTS,
    "labels of a stored set": MAX_STORED_LABELS,
    "characters of a text to look for": longest(queries.Text),
    "characters of a label, a prompt, a path": longest(queries.ShortText),
    "images to classify in one request": messages.MAX_PICTURES,
    "stored images to classify in one request": messages.MAX_STORED,
    "bytes of an image (`CLIPSEARCH_MAX_UPLOAD_BYTES`)": default("max_upload_bytes"),
    "pixels of an image (`CLIPSEARCH_MAX_PIXELS`)": default("max_pixels"),
    "bytes of a JSON body": binding.JSON_LIMIT,
    "bytes of a JSON body with images": binding.IMAGES_JSON_LIMIT,
    "parts of a form": binding.FORM_PARTS,
    "bytes of a form's texts": binding.FORM_MEMORY,
    "parts of a form with labels or with images to add": binding.LABELS_FORM_PARTS,
    "bytes of the texts of such a form": binding.LABELS_FORM_MEMORY,
    "bytes of a request's head": serving.HEADER_BYTES,
    "jobs that wait": jobs.WAITING_JOBS,
    "requests at work on pictures (`CLIPSEARCH_WORK_SLOTS`)": default("work_slots"),
    "requests that wait for those (`CLIPSEARCH_WORK_QUEUE`)": default("work_queue"),
    "searches at once (`CLIPSEARCH_SEARCH_SLOTS`)": default("search_slots"),
    "searches that wait for those (`CLIPSEARCH_SEARCH_QUEUE`)": default("search_queue"),
    "requests that fetch images by their addresses": slots.FETCH_SLOTS,
    "requests that wait for those": slots.FETCH_QUEUE,
    "characters of all texts in one request to a [wire](wires.md)": vectors.MAX_CHARACTERS,
    "seconds that a request waits for a slot (`CLIPSEARCH_QUEUE_SECONDS`)": default("queue_seconds"),
    "seconds that a request may take (`CLIPSEARCH_REQUEST_SECONDS`)": default("request_seconds"),
    "requests that wait for a thread": admission.LONGEST_LINE,
    "connections": serving.CONNECTIONS,
    "seconds of silence on a connection": serving.CHANNEL_SECONDS,
    "seconds to finish at a stop": serving.DRAIN_SECONDS,
}


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    part = PAGE[PAGE.index(f"## {heading}\n") :].partition("\n## ")[0].partition("## ")[2]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    return found[2:]


def test_the_table_of_limits_is_that_of_the_code() -> None:
    told = {what: float(limit.replace(",", "")) for what, limit, _ in rows("Limits")}
    assert told == {what: float(limit) for what, limit in LIMITS.items()}


def test_every_series_is_in_the_table_and_none_that_is_not_there(tmp_path: Path) -> None:
    told = {re.sub(r"[`*]", "", row[0]): set(filter(None, row[1].replace(" ", "").split(",")))
            for row in rows("Metrics")}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, Library.open(read_settings(data_dir=Path(folder))) as library:
        client = create_app(library).test_client()
        client.get("/healthz")
        text = client.get("/metrics").get_data(as_text=True)
    named = {name.removesuffix("_total") for name in re.findall(r"^# TYPE (\w+)", text, re.M)}
    ours = {name for name in named if not name.startswith("process_")}
    assert ours == {name.removesuffix("_total") for name in told if name != "process_"}
    assert "process_" in told
    for name, labels in told.items():
        for given in re.findall(rf"^{name}(?:_bucket|_count|)\{{(.*?)\}} ", text, re.M):
            assert set(re.findall(r"(\w+)=", given)) - {"le"} == labels


@pytest.mark.parametrize(
    "name", ["log_format", "access_log", "work_slots", "work_queue", "search_slots", "search_queue", "queue_seconds",
             "request_seconds", "trusted_proxies", "allowed_hosts", "require_key"],
)  # fmt: skip
def test_the_settings_of_operation_are_told(name: str) -> None:
    assert f"CLIPSEARCH_{name.upper()}" in PAGE
    assert name in Settings.model_fields
