"""Reads the names that people give models; alone knows their grammar, and opens no file and no library.

::

    ViT-B-32/openai                    an architecture of open_clip and the tag of its weights
    hf-hub:timm/ViT-B-16-SigLIP        a repository on the Hugging Face hub
    demo, demo-sigmoid                 the models shipped with clipsearch
    /models/mine, ./mine, ~/mine       a folder with open_clip_config.json and weights
    ViT-B-32//models/mine.safetensors  an architecture and a checkpoint file; ./ and ~ work too

A bare checkpoint does not tell its activation: for OpenAI's weights in a file, name the architecture that
has it, ViT-B-32-quickgelu//models/openai.safetensors.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipsearch.errors import ModelNotFound
from clipsearch.model import DEMO_MODEL

Kind = Literal["pretrained", "hub", "folder", "checkpoint"]

HUB_PREFIX = "hf-hub:"
FOLDER_PREFIX = "local-dir:"
DEMO_SIGMOID_MODEL = "demo-sigmoid"

_DEMO = Path(__file__).resolve().parents[1] / "demo"
_DEMO_FOLDERS = {DEMO_MODEL: _DEMO / "model", DEMO_SIGMOID_MODEL: _DEMO / "model_sigmoid"}
_PATH_STARTS = ("/", "./", "../", "~")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from; ``name`` is the one spelling under which it is stored.

    A "pretrained" source has ``architecture`` and ``tag``, a "hub" source ``repository``, a "folder"
    ``path``, a "checkpoint" ``architecture`` and ``path``. Paths are absolute.
    """

    name: str
    kind: Kind
    architecture: str | None = None
    tag: str | None = None
    repository: str | None = None
    path: Path | None = None

    @property
    def factory_name(self) -> str:
        """The name under which open_clip's own factory and tokenizer know it."""
        if self.kind == "hub":
            return f"{HUB_PREFIX}{self.repository}"
        if self.kind == "folder":
            return f"{FOLDER_PREFIX}{self.path}"
        return str(self.architecture)

    @property
    def shipped(self) -> bool:
        """Whether it is one of the models that come with clipsearch."""
        return self.name in _DEMO_FOLDERS


def demo_names() -> tuple[str, ...]:
    """The names of the models that come with clipsearch."""
    return tuple(_DEMO_FOLDERS)


def parse_model_name(name: str) -> ModelSource:
    """The source that ``name`` stands for, whether or not it exists.

    Raises ModelNotFound for a name that follows none of the forms above.
    """
    name = name.strip()
    if name in _DEMO_FOLDERS:
        return ModelSource(name, "folder", path=_DEMO_FOLDERS[name])
    if name.startswith(HUB_PREFIX):
        return _hub_source(name)
    if name.startswith(FOLDER_PREFIX) and name != FOLDER_PREFIX:
        return _folder_source(name.removeprefix(FOLDER_PREFIX))
    if name.startswith(_PATH_STARTS):
        return _folder_source(name)
    architecture, _, weights = name.partition("/")
    if not architecture or not weights:
        raise ModelNotFound(_how_to_name(name), model=name)
    if weights.startswith(_PATH_STARTS):
        path = _absolute(weights)
        return ModelSource(f"{architecture}/{path}", "checkpoint", architecture, path=path)
    tag = weights.lower().replace("-", "_")  # as open_clip does, so that one model has one stored name
    return ModelSource(f"{architecture}/{tag}", "pretrained", architecture, tag)


def check_known(source: ModelSource, registry: Mapping[str, Sequence[str]]) -> None:
    """Raise ModelNotFound, with what comes close, unless ``registry`` (architecture to tags) has it."""
    if source.architecture is None:
        return
    if source.architecture not in registry:
        close = _closest(source.architecture, registry)
        raise ModelNotFound(
            f"open_clip has no architecture {source.architecture!r}.{_did_you_mean(close)}",
            model=source.name,
            suggestions=close,
        )
    tags = registry[source.architecture]
    if source.kind == "pretrained" and source.tag not in tags:
        close = [f"{source.architecture}/{tag}" for tag in _closest(str(source.tag), tags) or tags[:8]]
        raise ModelNotFound(
            f"open_clip has no weights {source.tag!r} for {source.architecture}.{_did_you_mean(close)}"
            " A checkpoint file is named with a path: ARCHITECTURE/./weights.safetensors.",
            model=source.name,
            suggestions=close,
        )


def _hub_source(name: str) -> ModelSource:
    repository = name.removeprefix(HUB_PREFIX)
    if not _REPOSITORY.fullmatch(repository):
        raise ModelNotFound(f"{name!r} names no repository of the hub; write hf-hub:organisation/name.", model=name)
    return ModelSource(name, "hub", repository=repository)


def _folder_source(written: str) -> ModelSource:
    path = _absolute(written)
    for demo, folder in _DEMO_FOLDERS.items():
        if path == folder:
            return ModelSource(demo, "folder", path=folder)
    return ModelSource(str(path), "folder", path=path)


def _absolute(written: str) -> Path:
    # Links are kept: a person who points "current" at other weights keeps the name, and the
    # fingerprint tells that the weights are others.
    return Path(os.path.abspath(os.path.expanduser(written)))


def _how_to_name(name: str) -> str:
    close = [f"{name}/…"] if "-" in name else []
    if ":" in name:
        close = [name.replace(":", "/", 1)]
    return (
        f"{name!r} is not the name of a model.{_did_you_mean(close)} Write architecture/pretrained such as"
        " ViT-B-32/openai, hf-hub:organisation/name, a folder such as ./model, or demo."
    )


def _closest(word: str, known: Iterable[str]) -> list[str]:
    spelled = {entry.lower(): entry for entry in known}
    return [spelled[match] for match in difflib.get_close_matches(word.lower(), spelled, n=5, cutoff=0.5)]


def _did_you_mean(names: Sequence[str]) -> str:
    return f" Did you mean {', '.join(names)}?" if names else ""
