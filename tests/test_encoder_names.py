from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.encoder.names import check_known, demo_names, parse_model_name
from clipsearch.errors import ModelNotFound
from clipsearch.model import DEFAULT_MODEL

REGISTRY = {
    "ViT-B-32": ["openai", "laion2b_s34b_b79k"],
    "ViT-B-32-256": ["datacomp_s34b_b86k"],
    "ViT-B-16": ["openai"],
    "mine": [],
}


def test_an_architecture_with_a_tag_is_pretrained() -> None:
    source = parse_model_name("ViT-B-32/openai")
    assert (source.kind, source.architecture, source.tag) == ("pretrained", "ViT-B-32", "openai")
    assert source.name == "ViT-B-32/openai"
    assert source.factory_name == "ViT-B-32"
    check_known(source, REGISTRY)
    check_known(parse_model_name(DEFAULT_MODEL), REGISTRY)


def test_a_tag_has_one_spelling() -> None:
    assert parse_model_name(" ViT-B-32/LAION2B-s34b-b79k ").name == "ViT-B-32/laion2b_s34b_b79k"


def test_a_hub_name_keeps_its_prefix() -> None:
    source = parse_model_name("hf-hub:timm/ViT-B-16-SigLIP")
    assert (source.kind, source.repository) == ("hub", "timm/ViT-B-16-SigLIP")
    assert source.name == source.factory_name == "hf-hub:timm/ViT-B-16-SigLIP"


@pytest.mark.parametrize("name", demo_names())
def test_the_shipped_models_keep_their_short_names(name: str) -> None:
    source = parse_model_name(name)
    assert source.name == name
    assert source.shipped
    assert source.path is not None
    assert source.factory_name == f"local-dir:{source.path}"
    assert parse_model_name(str(source.path)).name == name


@pytest.mark.parametrize("written", ["/models/mine", "/models/../models/mine/", "local-dir:/models/mine"])
def test_a_folder_is_named_by_its_absolute_path(written: str) -> None:
    source = parse_model_name(written)
    assert (source.kind, source.name, source.path) == ("folder", "/models/mine", Path("/models/mine"))
    assert source.factory_name == "local-dir:/models/mine"


def test_relative_and_home_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_model_name("./mine").name == str(tmp_path / "mine")
    assert parse_model_name("../mine").name == str(tmp_path.parent / "mine")
    assert parse_model_name("~/mine").name == "/home/somebody/mine"
    assert parse_model_name("ViT-B-32/./w.pt").name == f"ViT-B-32/{tmp_path}/w.pt"
    assert parse_model_name("ViT-B-32/~/w.pt").name == "ViT-B-32//home/somebody/w.pt"


def test_an_architecture_with_a_path_is_a_checkpoint() -> None:
    source = parse_model_name("ViT-B-32//models/w.safetensors")
    assert (source.kind, source.architecture) == ("checkpoint", "ViT-B-32")
    assert source.path == Path("/models/w.safetensors")
    assert source.name == "ViT-B-32//models/w.safetensors"
    check_known(source, REGISTRY)


@pytest.mark.parametrize(
    "written",
    ["demo", "hf-hub:a/b", "/models/mine", "ViT-B-32/openai", "ViT-B-32//models/w.pt", "ViT-B-32/x-Y"],
)
def test_a_stored_name_stands_for_itself(written: str) -> None:
    source = parse_model_name(written)
    assert parse_model_name(source.name) == source


@pytest.mark.parametrize(
    "written", ["", " ", "ViT-B-32", "ViT-B-32/", "hf-hub:", "hf-hub:a/b/c", "hf-hub:../x", "local-dir:"]
)
def test_what_follows_no_form_is_not_found(written: str) -> None:
    with pytest.raises(ModelNotFound):
        parse_model_name(written)


def test_a_colon_between_architecture_and_tag_is_put_right() -> None:
    with pytest.raises(ModelNotFound, match="ViT-B-32/openai"):
        parse_model_name("ViT-B-32:openai")


@pytest.mark.parametrize("written", ["vit-b32/openai", "ViTB32/openai", "VIT-B-32/./w.pt"])
def test_an_unknown_architecture_brings_close_ones(written: str) -> None:
    with pytest.raises(ModelNotFound, match="ViT-B-32") as caught:
        check_known(parse_model_name(written), REGISTRY)
    assert "ViT-B-32" in caught.value.details["suggestions"]


def test_an_unknown_tag_brings_the_tags_of_its_architecture() -> None:
    with pytest.raises(ModelNotFound, match="ViT-B-32/laion2b_s34b_b79k"):
        check_known(parse_model_name("ViT-B-32/laion2b"), REGISTRY)
    with pytest.raises(ModelNotFound) as caught:
        check_known(parse_model_name("ViT-B-32/zzz"), REGISTRY)
    assert caught.value.details["suggestions"] == ["ViT-B-32/openai", "ViT-B-32/laion2b_s34b_b79k"]
    with pytest.raises(ModelNotFound, match="safetensors"):
        check_known(parse_model_name("mine/weights.pt"), REGISTRY)
