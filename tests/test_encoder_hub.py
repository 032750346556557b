"""Models by tag and from a hub: here a server on this machine that speaks what open_clip asks of the hub."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from encoder_fixtures import SIGMOID_PREPROCESSING, Checkpoints, make_checkpoints, write_model_folder

from clipsearch.encoder import Encoder, describe_model, download_model, list_models, loading, open_encoder
from clipsearch.encoder.factory import open_clip
from clipsearch.encoder.hub import HubFile, weights_in
from clipsearch.errors import ModelNotFound, ModelUnavailable
from clipsearch.model import DEFAULT_MODEL

SMALL = "hf-hub:someone/small"


class Hub:
    """Repositories as folders; ``asked`` are the requests that came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer()

            def do_GET(self) -> None:
                self.wfile.write(self.answer())

            def answer(self) -> bytes:
                hub.asked.append(f"{self.command} {self.path}")
                repository, _, name = self.path.strip("/").partition("/resolve/main/")
                file = hub.folder / repository / name
                content = file.read_bytes() if file.is_file() else b""
                self.send_response(200 if content else 404)
                if repository == "someone/gated":
                    self.send_header("X-Error-Code", "GatedRepo")
                elif not (hub.folder / repository).is_dir():
                    self.send_header("X-Error-Code", "RepoNotFound")
                elif not content:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("X-Repo-Commit", "c" * 40)
                self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                return content

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has downloaded nothing, on a network where nobody answers."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    _lead_to(monkeypatch, "http://127.0.0.1:9")
    return tmp_path / "cache"


@pytest.fixture
def hub(tmp_path: Path, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the small sigmoid model."""
    write_model_folder(tmp_path / "hub/someone/small", checkpoints, "small-sigmoid", **SIGMOID_PREPROCESSING)
    hub = Hub(tmp_path / "hub")
    _lead_to(monkeypatch, hub.address)
    yield hub
    hub.close()


def _lead_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "ViT-B-32/openai", SMALL])
def test_without_a_network_the_error_comes_soon_and_names_three_ways_out(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    open_clip()  # its import takes seconds of its own
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match="cannot be reached") as caught:
        open_encoder(name)
    assert time.monotonic() - began < 15
    for way in ("--model", "CLIPSEARCH_MODEL=ARCHITECTURE//path", "CLIPSEARCH_MODEL=demo"):
        assert way in caught.value.message
    assert caught.value.details["model"] == name
    assert "\n" not in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_a_machine_told_to_stay_offline_says_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE"):
        open_encoder(DEFAULT_MODEL)


def test_a_model_of_the_hub_is_downloaded_once_and_then_needs_no_network(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_encoder(SMALL, device="cpu", dtype="float32")
    assert first.model.name == SMALL
    assert (first.model.scoring, first.model.logit_bias) == ("sigmoid", -10.0)
    assert first.model.preprocessing["resize_mode"] == "squash"
    hub.asked.clear()
    again = open_encoder(SMALL, device="cpu", dtype="float32")
    assert hub.asked == []
    _lead_to(monkeypatch, "http://127.0.0.1:9")
    assert open_encoder(SMALL, device="cpu", dtype="float32").model == again.model == first.model
    np.testing.assert_array_equal(first.encode_texts(["a"]).vectors, again.encode_texts(["a"]).vectors)


def test_a_converted_model_of_the_hub_needs_neither_the_hub_nor_the_torch_network(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened() -> Encoder:
        return open_encoder(SMALL, device="cpu", dtype="float32", runtime="openvino", cache=tmp_path / "kept")

    first = opened()
    hub.asked.clear()
    monkeypatch.setattr(loading, "load_model", lambda _source: pytest.fail("the network was built"))
    again = opened()
    assert hub.asked == []
    assert (again.model, again.runtime) == (first.model, "openvino")
    np.testing.assert_array_equal(first.encode_texts(["a"]).vectors, again.encode_texts(["a"]).vectors)


def test_weights_of_a_tag_are_downloaded(hub: Hub, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    from open_clip import pretrained

    entry = pretrained._pcfg(hf_hub="someone/small/", **SIGMOID_PREPROCESSING)
    monkeypatch.setitem(pretrained._PRETRAINED, "small-sigmoid", {"webli": entry})
    listed = next(listing for listing in list_models("small-sigmoid"))
    assert (listed.name, listed.downloaded, listed.dimension) == ("small-sigmoid/webli", False, 24)
    assert describe_model("small-sigmoid/webli")["downloaded"] is False
    said: list[str] = []
    assert download_model("small-sigmoid/webli", said.append).name == "small-sigmoid/webli"
    assert said[0].startswith("Downloading")
    assert list_models("small-sigmoid")[0].downloaded
    assert describe_model("small-sigmoid/webli")["downloaded"] is True
    by_tag = open_encoder("small-sigmoid/webli", device="cpu")
    assert by_tag.model.fingerprint == open_encoder(SMALL, device="cpu").model.fingerprint
    download_model("small-sigmoid/webli", said.append)
    assert "already" in said[-2]


def test_a_repository_that_is_not_there_is_told(hub: Hub) -> None:
    with pytest.raises(ModelUnavailable, match="no public repository someone/none"):
        open_encoder("hf-hub:someone/none")
    (hub.folder / "someone" / "gated").mkdir()
    with pytest.raises(ModelUnavailable, match="accept its terms"):
        open_encoder("hf-hub:someone/gated")


def test_a_repository_without_weights_does_not_become_a_random_model(hub: Hub) -> None:
    (hub.folder / "someone/small/open_clip_model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="could not be loaded"):
        open_encoder(SMALL)


def test_a_repository_without_open_clips_configuration_is_one_clear_error(hub: Hub) -> None:
    (hub.folder / "someone/small/open_clip_config.json").unlink()
    with pytest.raises(ModelUnavailable):
        open_encoder(SMALL)


def test_the_files_of_a_hub_entry_are_those_that_open_clip_tries() -> None:
    assert weights_in("timm/x.openai/") == HubFile(
        "timm/x.openai", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    )
    assert weights_in("apple/x/w.bin") == HubFile("apple/x", ("w.safetensors", "w.bin"))
    assert weights_in("apple/x/w.pt") == HubFile("apple/x", ("w.pt",))


def test_every_published_model_is_listed_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from open_clip import list_pretrained

    listings = {listing.name: listing for listing in list_models()}
    assert {f"{architecture}/{tag}" for architecture, tag in list_pretrained()} <= set(listings)
    assert listings["ViT-B-32/openai"].quick_gelu
    assert not listings[DEFAULT_MODEL].quick_gelu
    assert (listings[DEFAULT_MODEL].dimension, listings[DEFAULT_MODEL].image_size) == (512, 256)
    assert not any(listing.downloaded for name, listing in listings.items() if "/" in name)


def test_a_list_can_be_narrowed() -> None:
    assert {listing.name.split("/")[0] for listing in list_models("vit-b-32-256/")} == {"ViT-B-32-256"}
    assert {listing.name.split("/")[1] for listing in list_models("ViT-?-32/open*")} == {"openai"}
    assert list_models("nothing is called so") == []


def test_a_model_is_described_without_its_weights() -> None:
    described = describe_model("ViT-B-32/openai")
    assert (described["dimension"], described["image_size"], described["context_length"]) == (512, 224, 77)
    assert described["quick_gelu"] is True
    assert described["scoring"] == "softmax"
    assert described["source"] == "timm/vit_base_patch32_clip_224.openai/"
    siglip = describe_model("ViT-B-16-SigLIP/webli")
    assert (siglip["scoring"], siglip["context_length"]) == ("sigmoid", 64)
    assert siglip["preprocessing"]["resize_mode"] == "squash"
    assert "timm/ViT-B-16-SigLIP/tokenizer_config.json" in siglip["files"]
    assert json.loads(json.dumps(siglip)) == siglip
    with pytest.raises(ModelNotFound):
        describe_model("ViT-B-32/none")
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        describe_model(SMALL)


def test_a_local_model_is_described_and_checked(tmp_path: Path, checkpoints: Checkpoints) -> None:
    folder = write_model_folder(tmp_path / "m", checkpoints, "small-clip-quickgelu")
    described = describe_model(str(folder))
    assert (described["kind"], described["downloaded"], described["dimension"]) == ("folder", True, 24)
    assert described["quick_gelu"] is True
    said: list[str] = []
    download_model(str(folder), said.append)
    assert "already" in said[0]
    os.truncate(folder / "open_clip_model.safetensors", 1000)
    with pytest.raises(ModelUnavailable):
        download_model(str(folder))
