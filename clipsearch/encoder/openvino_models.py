"""Converts a model for OpenVINO and keeps the result; alone knows what is kept, and what it is checked against.

A folder holds both halves of the model as OpenVINO's own files, and rows that torch computed in float32: whoever
opens it computes them again and compares, so that no fault of a converter, a version or a file goes unnoticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoder import factory
from clipsearch.encoder.hub import cached_paths
from clipsearch.encoder.kept_files import NotBelieved, read_kept, states_of, update_facts, write_kept
from clipsearch.encoder.loading import LoadedModel, versions_in_use
from clipsearch.encoder.names import ModelSource
from clipsearch.encoder.openvino_guard import openvino
from clipsearch.encoder.text_cut import TextCut
from clipsearch.model import Model

if TYPE_CHECKING:
    import torch
    from torch import nn

PICTURES = "pictures.xml"
TEXTS = "texts.xml"
ANY = "any"  # number format
COMPILED = "compiled"  # OpenVINO's own cache, which checks itself
_CHECK = "check.npz"
_FILES = (PICTURES, "pictures.bin", TEXTS, "texts.bin", _CHECK)
_CHECKED_PICTURES = 4
_CHECKED_TEXTS = ("dog", "a photo of a red boat", "two people walk along a wet street at night, seen from above")

_log = logging.getLogger(__name__)


class NotConvertible(Exception):
    """OpenVINO cannot run this model as torch does; the message says why. Never leaves this room."""


class NotNow(NotConvertible):
    """It could not this time, memory or disk being short say: another try may succeed, so nothing is noted."""


@dataclass(frozen=True)
class Check:
    """Inputs with the rows that torch gave for them in float32, as they came: float32 [n, d]."""

    pixels: NDArray[np.float32]
    tokens: NDArray[np.int64]
    picture_rows: NDArray[np.float32]
    text_rows: NDArray[np.float32]


@dataclass(frozen=True)
class KeptModel:
    """A converted model in ``folder``, with the facts that need no network any more."""

    folder: Path
    facts: Model
    cut: TextCut
    notes: Mapping[str, Any]

    def refusal(self, dtype: str) -> str | None:
        """Why this model is not to be run in this number format, as was found before, or None."""
        refusals = self.notes["refusals"]
        reason: str | None = refusals.get(ANY) or refusals.get(dtype)
        return reason

    def check(self) -> Check:
        """What the runtime's rows are compared with. Raises NotBelieved."""
        try:
            with np.load(self.folder / _CHECK, allow_pickle=False) as kept:
                return Check(kept["pixels"], kept["tokens"], kept["picture_rows"], kept["text_rows"])
        except (OSError, ValueError, KeyError) as error:
            raise NotBelieved(f"{_CHECK} cannot be read: {error}") from error

    def noted(self, **notes: Any) -> KeptModel:
        """The same with more notes, written down. Raises NotBelieved, OSError."""
        together = {**self.notes, **notes}
        update_facts(self.folder, together)
        return dataclasses.replace(self, notes=MappingProxyType(together))

    def with_file(self, name: str, produce: Callable[[Path], None], **notes: Any) -> KeptModel:
        """The same with more notes and a model of this name, which ``produce`` writes, beside the conversion alone.

        What else was added before, and what was compiled of it, goes. Raises OSError and what ``produce`` raises.
        """
        together = {**self.notes, **notes}

        def fill(aside: Path) -> None:
            for kept in _FILES:
                _same_file(self.folder / kept, aside / kept)
            produce(aside / name)

        write_kept(self.folder, together, fill)
        return dataclasses.replace(self, notes=MappingProxyType(together))


def folder_for(cache: Path, source: ModelSource) -> Path:
    """Where the conversion of the model of this name is kept."""
    return cache / f"openvino-{hashlib.sha256(source.name.encode()).hexdigest()[:16]}"


def weight_states(source: ModelSource) -> list[dict[str, Any]] | None:
    """The state of every file that the model is made of, or None where they cannot be told without loading it."""
    if source.kind == "folder" and source.path:
        paths = sorted(path for path in source.path.glob("*") if path.is_file())
    elif source.kind == "checkpoint" and source.path:
        paths = [source.path]
    else:
        cached = [cached_paths(file) for file in factory.needed_files(source)]
        published = factory.pretrained_cfg(source) if source.kind == "pretrained" else {}
        if not all(cached) or (source.kind == "pretrained" and not factory.weights_of(published)):
            return None
        paths = [Path(path) for several in cached for path in several]
    try:
        return states_of(paths)
    except OSError:
        return None


def find_kept(
    folder: Path, source: ModelSource, *, states: list[dict[str, Any]] | None = None, fingerprint: str | None = None
) -> KeptModel | None:
    """The conversion in ``folder``, where it was made by these versions of weights in these states, or of this
    fingerprint. A warning says why one that is damaged is not used.
    """
    try:
        notes = read_kept(folder)
        if notes is None:
            return None
        kept = KeptModel(folder, _facts_from(notes["facts"]), TextCut(**notes["cut"]), MappingProxyType(notes))
        same_weights = states is not None and notes["weights"] == states
        if fingerprint is not None:
            same_weights = kept.facts.fingerprint == fingerprint
        if kept.facts.name != source.name or notes["versions"] != _versions() or not same_weights:
            return None
    except (NotBelieved, KeyError, TypeError) as reason:
        _log.warning("The conversion of %s in %s is not used: %s.", source.name, folder, reason)
        return None
    return kept


def convert(folder: Path, loaded: LoadedModel, states: list[dict[str, Any]] | None) -> KeptModel:
    """Convert a model that torch has loaded, and keep it in ``folder``, in the place of what is there.

    Raises NotConvertible, which is kept too unless it is NotNow; OSError where it cannot be written.
    """
    from clipsearch.encoder.text_tower import CutTextTower, text_tower

    tower = text_tower(loaded.network)
    # An export has one length, unless the tower was written for any.
    open_length = isinstance(tower, CutTextTower)
    cut = tower.cut if open_length else TextCut("whole")
    notes = {
        "facts": _plain(loaded.facts),
        "cut": dataclasses.asdict(cut),
        "versions": _versions(),
        "weights": states,
        "refusals": {},
        "calibration": None,
    }
    check = _check_inputs(loaded)
    length = -1 if open_length else check.tokens.shape[1]

    def produce(aside: Path) -> None:
        _log.info("Converting %s for OpenVINO, once.", loaded.facts.name)
        rows = _convert_half(_Pictures(loaded.network), check.pixels, [-1, *check.pixels.shape[1:]], aside / PICTURES)
        text_rows = _convert_half(tower, check.tokens, [-1, length], aside / TEXTS)
        np.savez(aside / _CHECK, pixels=check.pixels, tokens=check.tokens, picture_rows=rows, text_rows=text_rows)

    try:
        write_kept(folder, notes, produce)
    except NotNow:
        raise
    except NotConvertible as reason:
        write_kept(folder, {**notes, "refusals": {ANY: str(reason)}}, lambda aside: None)
        raise
    return KeptModel(folder, loaded.facts, cut, MappingProxyType(notes))


def _Pictures(network: nn.Module) -> nn.Module:  # noqa: N802 - a class that cannot exist before torch is imported
    from torch import nn

    class Pictures(nn.Module):
        """The image half of a network as a module of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.network.encode_image(pixels, normalize=False)  # type: ignore[operator]
            return rows

    return Pictures()


def _convert_half(half: nn.Module, inputs: NDArray[Any], shape: list[int], target: Path) -> NDArray[np.float32]:
    """Convert one half, keep it as ``target``, and give torch's rows for ``inputs``. Raises NotConvertible."""
    import torch

    library = openvino()
    example = torch.from_numpy(inputs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # a tracer's notes on every branch that it takes
        rows: NDArray[np.float32] = half(example).numpy()
        try:
            converted = library.convert_model(half, example_input=example, input=[library.PartialShape(shape)])
        except MemoryError as error:
            raise NotNow(f"memory was short as it was converted ({first_line(error)})") from error
        except Exception as error:  # its front end raises what it likes
            raise NotConvertible(f"it could not be converted ({first_line(error)})") from error
        try:
            library.save_model(converted, target, compress_to_fp16=False)
        except RuntimeError as error:
            raise NotNow(f"its conversion could not be written ({first_line(error)})") from error
    return rows


def first_line(error: Exception) -> str:
    """What an error says, in one line; its type where it says nothing."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def _same_file(kept: Path, target: Path) -> None:
    try:
        os.link(kept, target)
    except OSError:  # not every file system has links
        shutil.copy2(kept, target)


def _check_inputs(loaded: LoadedModel) -> Check:
    """Pictures of soft colours with some noise, and texts short and long; the same ones each time."""
    random = np.random.default_rng(0)
    size = loaded.facts.preprocessing["size"]
    height, width = (size, size) if isinstance(size, int) else size
    coarse = random.standard_normal((_CHECKED_PICTURES, 3, 6, 6))
    rows, columns = np.arange(height) * 6 // height, np.arange(width) * 6 // width
    pixels = coarse[:, :, rows[:, None], columns] + 0.3 * random.standard_normal((_CHECKED_PICTURES, 3, height, width))
    tokens = np.asarray(loaded.tokenizer(list(_CHECKED_TEXTS)).numpy(), dtype=np.int64)
    none = np.zeros((0, loaded.facts.dimension), dtype=np.float32)
    return Check(pixels.astype(np.float32), tokens, none, none)


def _versions() -> dict[str, str]:
    return {**versions_in_use(), "openvino": version("openvino")}


def _plain(facts: Model) -> dict[str, Any]:
    named = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in named.items()}


def _facts_from(plain: Mapping[str, Any]) -> Model:
    frozen: Any = {name: MappingProxyType(one) if isinstance(one, dict) else one for name, one in plain.items()}
    return Model(**frozen)
