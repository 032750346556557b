"""Runs Schemathesis against an app: every operation of its own document, with every check; knows what it is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

import schemathesis
from apiflask import APIFlask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import NonFatalError, ScenarioFinished
from werkzeug.test import stream_encode_multipart

DOCUMENT = "/api/v1/openapi.json"
REJECTED = "Schema-valid request rejected"
ACCEPTED = "Schema-violating request accepted"
GONE = "Created resource not found"
RENAMING = "PATCH /api/v1/collections/{name}"
UNPROCESSABLE = 422


@dataclass
class ContractRun:
    """What a run did and found; ``findings`` are one for each operation and kind of failure, with how to repeat it."""

    cases: int = 0
    operations: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    findings: dict[tuple[str, str], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def told(self) -> str:
        """Everything that was found, for a person."""
        said = [f"{operation}: {title}\n{text}" for (operation, title), text in sorted(self.findings.items())]
        return "\n\n".join([*said, *self.errors])


def run_contract(app: APIFlask, cases: int, *, only: str | None = None, seed: int = 1) -> ContractRun:
    """Send the app at least this many requests and hold every answer against its document.

    Few cases are of random values alone; from a thousand on, boundary values of every schema and sequences of
    operations that hang together come first. ``only`` is a pattern of paths.
    """
    thorough = cases >= 1_000
    config = SchemathesisConfig(seed=seed)
    project = config.projects.default
    project.update(continue_on_failure=True)
    project.checks.not_a_server_error.expected_statuses = ["2XX", "3XX", "4XX", "503"]
    rejections = project.checks.negative_data_rejection
    rejections.expected_statuses = [*rejections.expected_statuses, "413"]
    project.phases.coverage.enabled = thorough
    project.phases.examples.enabled = thorough
    project.phases.stateful.enabled = thorough
    # What else may stand in an address no document can forbid; the server refuses it, as tests of its limits say.
    project.generation.update(deterministic=True, database="none", no_shrink=not thorough, allow_extra_parameters=False)
    schema: Any = schemathesis.openapi.from_wsgi(DOCUMENT, app, config=config)
    if only is not None:
        schema = schema.include(path_regex=only)
    operations = sum(len(many) for many in app.test_client().get(DOCUMENT).get_json()["paths"].values())
    # Boundary values are about as many again, and sequences half as many.
    project.generation.update(max_examples=max(1, -(-cases // operations) * 2 // (5 if thorough else 2)))
    run = ContractRun()
    # Large forms stay in memory: the client of werkzeug leaves the file open that it would put them into.
    in_memory = partial(stream_encode_multipart, use_tempfile=False)
    with mock.patch("werkzeug.test.stream_encode_multipart", in_memory):
        for event in from_schema(schema).execute():
            if isinstance(event, ScenarioFinished):
                _note(run, event)
            elif isinstance(event, NonFatalError):
                run.errors.append(f"{event.label}: {event.info.format()}")
    return run


def _beyond_a_schema(response: Any) -> bool:
    """Whether a request was refused for what no schema can say: how fields go together, what is stored, what an
    image holds. What a schema can say is told as another kind of fault, and then the schema must say it."""
    if response.status_code in {400, 413}:
        return True
    told = response.json()
    if told["code"] == "idempotency_mismatch":
        return True
    return response.status_code == UNPROCESSABLE and any(
        fault["kind"] == "value_error" for fault in told["details"].get("faults", ())
    )


def _is_no_finding(failure: Any, node: Any, interaction: Any, recorder: Any) -> bool:
    """Whether a check objects to what is meant so; each case with its reason."""
    if failure.title == REJECTED:
        return _beyond_a_schema(interaction.response)
    if failure.title == ACCEPTED and node.value.media_type == "multipart/form-data":
        # In a form a text and a list of one text are written alike, and so are a number and its digits.
        faults = [line for line in failure.message.splitlines() if "body" in line and ":" in line]
        return bool(faults) and all(line.endswith("Incorrect type") for line in faults if " - " in line)
    if failure.title == GONE:
        # The collection is there, and an image that the body names is not in it.
        told = interaction.response.json().get("code")
        if told == "image_not_found" and "{image_id}" not in node.value.operation.label:
            return True
        # It was given another name in between, which no check knows to follow.
        return any(other.value.operation.label == RENAMING for other in recorder.cases.values())
    return False


def _note(run: ContractRun, event: ScenarioFinished) -> None:
    recorder = event.recorder
    run.cases += len(recorder.cases)
    for case_id, node in recorder.cases.items():
        operation = node.value.operation.label
        run.operations.add(operation)
        interaction: Any = recorder.interactions.get(case_id)
        if interaction is not None and interaction.response is not None:
            run.statuses[interaction.response.status_code] += 1
        for check in recorder.checks.get(case_id, ()):
            if check.status != Status.FAILURE or check.failure_info is None:
                continue
            failure = check.failure_info.failure
            if _is_no_finding(failure, node, interaction, recorder):
                continue
            answer = interaction.response.text[:600] if interaction and interaction.response else ""
            said = f"{failure.message}\n{check.failure_info.code_sample[:1500]}\n{answer}"
            run.findings.setdefault((operation, failure.title), said)
