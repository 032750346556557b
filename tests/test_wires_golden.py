"""What each wire answers, held against files that were written down: names, their order, numbers and headers.

``python tests/test_wires_golden.py`` writes the answers anew; look at what changed before you keep it.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from wires_fixtures import WireSite, wire_site

FOLDER = Path(__file__).parent / "wires"
FILES = sorted(FOLDER.glob("*.json"))
# What is another at each answer.
VOLATILE = {"time", "created", "id", "request_id", "image"}
HEADERS = ("Content-Type", "Access-Control-Allow-Origin", "Clipsearch-Ignored")
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[WireSite]:
    with wire_site(tmp_path_factory.mktemp("wires"), migrated_file) as opened:
        yield opened


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_wire_answers_as_it_is_written_down(site: WireSite, file: Path) -> None:
    for case in json.loads(file.read_text(encoding="utf-8")):
        response = ask(site.client(), site, case["request"])
        where = f"{file.name}: {case['request']['path']}"
        assert response.status_code == case["status"], (where, response.text)
        assert {name: response.headers[name] for name in HEADERS if name in response.headers} == case["headers"], where
        check_same(told(response, site), case["body"], where)


def test_every_wire_is_written_down() -> None:
    from clipsearch.compat import WIRES

    assert {file.stem for file in FILES} == set(WIRES)


def ask(client: FlaskClient, site: WireSite, request: dict[str, Any]) -> TestResponse:
    """Send a request of a golden file: ``{picture 0}`` stands for a picture in base64, a ``file`` for its bytes."""
    options: dict[str, Any] = {"method": request["method"]}
    if "json" in request:
        text = json.dumps(request["json"])
        for number, encoded in enumerate(site.encoded):
            text = text.replace(f"{{picture {number}}}", encoded)
        options |= {"data": text, "content_type": request.get("type", "application/json")}
    if "form" in request:
        form = dict(request["form"])
        if "file" in request:
            form["image"] = (io.BytesIO(site.pictures[request["file"]]), "image")
        options |= {"data": form, "content_type": "multipart/form-data"}
    return client.open(request["path"], **options)


def told(response: TestResponse, site: WireSite) -> Any:
    """The body; folders of this run and whatever changes from answer to answer are blotted out."""
    if not response.is_json:
        return response.text
    return _blotted(json.loads(response.text.replace(str(site.photos), "PHOTOS")))


def _blotted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(name, one) for name, one in value.items()}
    return [_blotted(one) for one in value] if isinstance(value, list) else value


def _plain(name: str, value: Any) -> Any:
    if name == "created" or (name in VOLATILE and isinstance(value, str | float)):  # an image's id is a whole number
        return "*"
    if name == "clip":  # a text that holds JSON
        return {"text of": json.loads(value)}
    if name == "embedding" and isinstance(value, str):
        return {"base64 of": np.frombuffer(base64.b64decode(value), dtype="<f4").astype(float).tolist()}
    return _blotted(value)


def check_same(found: Any, golden: Any, where: str) -> None:
    """Equal, the names in the same order, numbers within the tolerance."""
    if isinstance(golden, dict):
        assert isinstance(found, dict), where
        assert list(found) == list(golden), where
        for name in golden:
            check_same(found[name], golden[name], f"{where}.{name}")
    elif isinstance(golden, list):
        assert isinstance(found, list), where
        assert len(found) == len(golden), where
        for place, (one, other) in enumerate(zip(found, golden, strict=True)):
            check_same(one, other, f"{where}[{place}]")
    elif isinstance(golden, float):
        assert isinstance(found, float), where
        assert math.isclose(found, golden, rel_tol=TOLERANCE, abs_tol=TOLERANCE), (where, found, golden)
    else:
        assert (type(found), found) == (type(golden), golden), where


def write() -> None:
    """Ask every request of the golden files again and write down what is answered."""
    import tempfile

    from clipsearch.database import Database
    from clipsearch.database.migrating import upgrade

    with tempfile.TemporaryDirectory() as name:
        migrated = Path(name) / "migrated.db"
        database = Database(f"sqlite:///{migrated}")
        upgrade(database)
        database.close()
        with wire_site(Path(name), migrated) as opened:
            for file in FILES:
                cases = json.loads(file.read_text(encoding="utf-8"))
                for case in cases:
                    response = ask(opened.client(), opened, case["request"])
                    case["status"] = response.status_code
                    case["headers"] = {one: response.headers[one] for one in HEADERS if one in response.headers}
                    case["body"] = _rounded(told(response, opened))
                file.write_text(_tidy(cases), encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def _tidy(cases: list[dict[str, Any]]) -> str:
    lines = [
        "  {" + ",\n   ".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in case.items()) + "}"
        for case in cases
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    write()
