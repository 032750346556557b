"""Every operation of the API answers as its document says: Schemathesis with every check against a real app.

300 requests in the suite; CLIPSEARCH_CONTRACT_CASES sets how many, and `make test-contract` asks for 10,000.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import wraps

import pytest
from contract_runs import DOCUMENT, ContractRun, run_contract
from web_fixtures import API, Site, small_site

from clipsearch.encoder import Encoder
from clipsearch.web.errors import problem

CASES = int(os.environ.get("CLIPSEARCH_CONTRACT_CASES", "300"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_encoder: Encoder) -> Iterator[Site]:
    """A site with images, a label set and tags, so that requests find what they ask for."""
    with small_site(tmp_path_factory.mktemp("contract"), shared_encoder, rate_limit="none") as site:
        site.client.put(f"{API}/label-sets/animals", json={"labels": ["cat", "dog"]})
        site.client.post(f"{API}/collections/default/tags", json={"label_set": "animals"})
        yield site


@pytest.fixture(scope="module")
def run(site: Site) -> ContractRun:
    return run_contract(site.app, CASES)


def test_no_answer_is_a_fault_or_stands_not_in_the_document(run: ContractRun) -> None:
    assert not run.findings, run.told()
    assert not run.errors, run.told()
    assert not [status for status in run.statuses if status >= 500 and status not in {503, 507}]


def test_every_operation_was_asked_often_enough(run: ContractRun, site: Site) -> None:
    paths = site.client.get(DOCUMENT).get_json()["paths"]
    assert run.operations == {f"{method.upper()} {path}" for path, many in paths.items() for method in many}
    assert run.cases >= CASES * 0.8
    assert run.statuses[200] > 0
    assert run.statuses[422] > 0


def test_an_answer_that_breaks_the_contract_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"status.healthz": lambda: ({"alive": "perhaps"}, 200),
               "status.show_status": lambda: problem(418, "no coffee", "teapot")}  # fmt: skip
    for endpoint, answer in answers.items():
        # With what the document is drawn from.
        monkeypatch.setitem(site.app.view_functions, endpoint, wraps(site.app.view_functions[endpoint])(answer))
    found = run_contract(site.app, 1, only="healthz|/status$").findings
    assert {operation for operation, _ in found} == {"GET /healthz", "GET /api/v1/status"}
