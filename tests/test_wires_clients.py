"""The other systems' own clients, unchanged, against a running server that answers to keys only."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from web_fixtures import running_server
from wires_fixtures import WireSite, wire_site

from clipsearch.authorizing import create_key
from clipsearch.compat import WIRES
from clipsearch.images import open_picture

HERE = Path(__file__).parent
# Beside our own environment: what they need and what we need exclude each other (constraints-clients.txt).
CLIENTS = HERE.parent / ".venv" / "clients" / "bin" / "python"

pytestmark = pytest.mark.clients


@dataclass
class Served:
    """A server in a process of its own, and what it serves."""

    site: WireSite
    address: str
    key: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients")
    with wire_site(folder, migrated_file) as site:
        key = create_key(site.library, "for clients").key
        settings: dict[str, Any] = {
            "compat": list(WIRES),
            "require_key": "always",
            "compat_open": "clip-retrieval@127.0.0.1",
        }
        with running_server(folder, "demo", **settings) as running:
            yield Served(site, running.address, key)


def ask(program: str, *arguments: str) -> Any:
    """What a program prints that is run with the clients' interpreter."""
    if not CLIENTS.exists():
        pytest.skip("the clients are not installed: make .venv/.installed-clients")
    ended = subprocess.run(
        [str(CLIENTS), str(HERE / "wires" / "clients" / program), *arguments],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_roboflows_own_client_is_answered(served: Served) -> None:
    images = [str(path) for path in sorted(served.site.photos.glob("*.png"))]
    told = ask("ask_inference_sdk.py", served.address, served.key, *images)
    texts = served.site.encoder.encode_texts(["a boat", "a house"])
    raw = texts.vectors * texts.norms[:, None]
    assert np.allclose(told["texts"]["embeddings"], raw, atol=1e-4)
    assert np.allclose(told["one text"]["embeddings"], raw[:1], atol=1e-4)
    # The client shrinks no image of this size, and sends it as JPEG.
    seen = np.array([one["embeddings"][0] for one in told["images"]])
    assert seen.shape == (len(images), 128)
    assert np.allclose(told["one image"]["embeddings"][0], seen[0], rtol=1e-3, atol=1e-3)
    first = seen[0] / np.linalg.norm(seen[0])
    assert np.allclose(told["compared"]["similarity"], texts.vectors @ first, atol=1e-4)
    assert len(told["by image"]["similarity"]) == len(images)
    assert told["refused"][0] == 404
    assert "CLIPSEARCH_COMPAT_MODELS=ViT-B-16=demo" in told["refused"][1]
    assert told["without key"][0] == 401


def test_clip_retrievals_own_client_is_answered_without_a_key(served: Served) -> None:
    told = ask("ask_clip_retrieval.py", served.address, str(served.site.photos / "0001.png"))
    assert [one["id"] for one in told["image"]].index(2) == 0
    assert told["image"][0]["similarity"] == pytest.approx(1.0, abs=1e-3)
    assert told["image"][0]["image_path"].endswith("/0001.png")
    assert open_picture(base64.b64decode(told["image"][0]["image"])).format == "JPEG"
    scores = [one["similarity"] for one in told["text"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert len(told["embedding"]) == 3
    assert "modality text" in told["captions"]["message"]
    assert "laion5B-L-14" in told["unknown"]["message"]


def test_openais_own_client_is_answered(served: Served) -> None:
    encoder = served.site.encoder
    with openai.OpenAI(base_url=f"{served.address}/v1", api_key=served.key, max_retries=0) as client:
        # Without a word on the encoding it asks for base64 and reads it.
        found = client.embeddings.create(model="demo", input=["a boat", "a house"])
        rows = np.array([one.embedding for one in found.data])
        assert np.allclose(rows, encoder.encode_texts(["a boat", "a house"]).vectors, atol=1e-5)
        assert (found.object, found.model, [one.index for one in found.data]) == ("list", "demo", [0, 1])
        assert found.usage.total_tokens == sum(encoder.token_counts(["a boat", "a house"]))
        plain = client.embeddings.create(model="demo", input="a boat", encoding_format="float", dimensions=128)
        assert np.allclose(plain.data[0].embedding, rows[0], atol=1e-6)
        image = "data:image/png;base64," + served.site.encoded[0]
        seen = client.embeddings.create(model="demo", input=image, extra_body={"modality": "image"})
        opened = open_picture(served.site.pictures[0]).picture
        assert np.allclose(seen.data[0].embedding, encoder.encode_images([opened]).vectors[0], atol=1e-5)


def test_openais_own_client_understands_what_is_refused(served: Served) -> None:
    base = f"{served.address}/v1"
    with openai.OpenAI(base_url=base, api_key=served.key, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="CLIPSEARCH_COMPAT_MODELS") as unknown:
            client.embeddings.create(model="text-embedding-3-small", input="a boat")
        assert (unknown.value.code, unknown.value.type) == ("model_not_found", "invalid_request_error")
        with pytest.raises(openai.BadRequestError, match="numbers of tokens") as tokens:
            client.embeddings.create(model="demo", input=[1, 2, 3])
        assert tokens.value.param == "input"
    with (
        openai.OpenAI(base_url=base, api_key="sk-none", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.embeddings.create(model="demo", input="a boat")
