"""Quantises the image half of a model to int8 by a user's own pictures; alone knows when the result may be used.

Whole numbers of eight bits halve the time again, and cost a model that was not made for them an unknown part of its
quality. So what they do to pictures like the user's is measured, kept with the model, and asked for before use.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from clipsearch.encoder import factory
from clipsearch.encoder.kept_files import NotBelieved
from clipsearch.encoder.loading import load_model, vocabulary_of
from clipsearch.encoder.names import ModelSource
from clipsearch.encoder.openvino_encoder import LEAST_COSINE, OpenVinoEncoder, kept_model
from clipsearch.encoder.openvino_guard import core, nncf, openvino
from clipsearch.encoder.openvino_models import (
    COMPILED,
    PICTURES,
    KeptModel,
    NotConvertible,
    find_kept,
    first_line,
    folder_for,
    weight_states,
)
from clipsearch.encoder.precision import DType, choose_dtype
from clipsearch.errors import ClipSearchError, ConfigError, ModelUnavailable

# Of ten neighbours at most one of two pictures may lose one: less than what an approximate index loses, whose floor
# is .97, would not show beside it; and bfloat16 itself exchanges about one in a hundred.
LEAST_OVERLAP = 0.95
# One picture in fifty may get another label: those whose two best labels lie closer than the format can tell.
LEAST_AGREEMENT = 0.98
_SAME_COSINE = 0.02  # what another processor's arithmetic may change
_ATTENTION = {"ScaledDotProductAttention", "Softmax"}


@dataclass(frozen=True)
class Calibration:
    """What int8 did to ``checked`` pictures that it was not calibrated by.

    ``overlap`` is the mean share of ten nearest neighbours that stayed, ``agreement`` the share of pictures whose
    best label stayed, both against ``reference`` (a number format).
    """

    images: int
    checked: int
    overlap: float
    agreement: float
    reference: str

    @property
    def passed(self) -> bool:
        """Whether int8 may be used."""
        return self.overlap >= LEAST_OVERLAP and self.agreement >= LEAST_AGREEMENT


def nncf_installed() -> bool:
    """Whether what quantises is there; imports nothing."""
    return importlib.util.find_spec("nncf") is not None


def check_quantisable(source: ModelSource, cache: Path) -> None:
    """See what can be seen before the model is loaded; raises as ``quantise``."""
    if not nncf_installed():
        raise ConfigError("A calibration needs NNCF, which is not installed: pip install -e '.[int8]' in the clone.")
    with _told(lambda reason: _not_quantisable(source, reason)):
        kept = find_kept(folder_for(cache, source), source, states=weight_states(source))
        if kept is not None:
            _check_not_refused(kept)


def quantise(source: ModelSource, cache: Path, pixels: Sequence[NDArray[np.float32]]) -> OpenVinoEncoder:
    """An encoder in int8, calibrated by prepared pictures [3, h, w]; it is not yet allowed to be used.

    Raises ConfigError where NNCF is missing, ModelUnavailable for a model that cannot be quantised, and what loading
    a model raises.
    """
    check_quantisable(source, cache)
    folder = folder_for(cache, source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")), _told(lambda reason: _not_quantisable(source, reason)):
        kept = kept_model(folder, source, lambda: load_model(source))
        _check_not_refused(kept)
        # A name of its own: what OpenVINO compiled of a former one is told by its path.
        name = f"int8-{secrets.token_hex(4)}.xml"
        kept = kept.with_file(name, lambda target: _quantised(kept, pixels, target), quantised=name, calibration=None)
        encoder = _encoder(kept, source, None)
        cosines = encoder.cosines(kept.check())
        if cosines[1] < LEAST_COSINE:
            raise NotConvertible(f"its texts differ from torch's: a cosine of {cosines[1]:.5f}, not {LEAST_COSINE}")
        kept.noted(quantised_cosines=cosines)
        return encoder


def keep_calibration(source: ModelSource, cache: Path, calibration: Calibration) -> None:
    """Note what the check of the last ``quantise`` found."""
    folder = folder_for(cache, source)
    with FileLock(folder.with_suffix(".lock")):
        kept = find_kept(folder, source, states=weight_states(source))
        if kept is not None:
            kept.noted(calibration=asdict(calibration))


def open_calibrated(source: ModelSource, cache: Path | None, batch_size: int | None) -> OpenVinoEncoder:
    """The model in int8. Raises ConfigError where no calibration stands that passed its check, or it cannot be run."""
    calibration, kept = None, None
    if cache is not None and folder_for(cache, source).is_dir():
        folder = folder_for(cache, source)
        with FileLock(folder.with_suffix(".lock")), _told(lambda reason: _not_usable(source, reason)):
            kept = find_kept(folder, source, states=weight_states(source))
            calibration = None if kept is None else _calibration_in(kept.notes)
            if kept is not None and calibration is not None and calibration.passed:
                return _checked(kept, source, batch_size)
    how = "run clipsearch models calibrate, or use the dtype auto"
    if calibration is None:
        raise ConfigError(f"int8 was asked for, and {source.name} was not calibrated for it here: {how}.", dtype="int8")
    raise ConfigError(
        f"int8 was asked for, and the calibration of {source.name} did not pass: {calibration.overlap:.3f} of the"
        f" neighbours stayed ({LEAST_OVERLAP} are needed) and {calibration.agreement:.3f} of the labels"
        f" ({LEAST_AGREEMENT}): use the dtype auto.",
        dtype="int8",
    )


def _checked(kept: KeptModel, source: ModelSource, batch_size: int | None) -> OpenVinoEncoder:
    _check_not_refused(kept)
    for _attempt in ("as it is", "compiled anew"):
        encoder = _encoder(kept, source, batch_size)
        cosines = encoder.cosines(kept.check())
        same = np.allclose(cosines, kept.notes["quantised_cosines"], atol=_SAME_COSINE)
        if same and cosines[1] >= LEAST_COSINE:
            return encoder
        shutil.rmtree(kept.folder / COMPILED, ignore_errors=True)
    raise ConfigError(
        f"{source.name} in int8 gives other rows here than when it was calibrated: run clipsearch models calibrate.",
        dtype="int8",
    )


def _encoder(kept: KeptModel, source: ModelSource, batch_size: int | None) -> OpenVinoEncoder:
    tokenizer = factory.create_tokenizer(source)
    vocabulary = vocabulary_of(source)
    return OpenVinoEncoder(kept, tokenizer, vocabulary, _dtype(), batch_size, quantised=str(kept.notes["quantised"]))


def _dtype() -> DType:
    """What texts are computed in, and what stays in floating point between the layers."""
    return choose_dtype("auto", "cpu")


def _check_not_refused(kept: KeptModel) -> None:
    refusal = kept.refusal(_dtype())
    if refusal:
        raise NotConvertible(refusal)


@contextlib.contextmanager
def _told(error_of: Callable[[str], ClipSearchError]) -> Iterator[None]:
    """Within it, what OpenVINO, NNCF and what is kept raise becomes an error of ours, made of the reason."""
    try:
        yield
    except (NotConvertible, NotBelieved, RuntimeError, ImportError, OSError) as error:
        raise error_of(first_line(error)) from error


def _not_quantisable(source: ModelSource, reason: str) -> ModelUnavailable:
    return ModelUnavailable(f"{source.name} cannot be quantised: {reason}.", model=source.name)


def _not_usable(source: ModelSource, reason: str) -> ConfigError:
    return ConfigError(
        f"int8 was asked for, and {source.name} cannot be run in it here ({reason}): use the dtype auto.", dtype="int8"
    )


def _calibration_in(notes: Mapping[str, Any]) -> Calibration | None:
    return Calibration(**notes["calibration"]) if notes.get("calibration") else None


def _quantised(kept: KeptModel, pixels: Sequence[NDArray[np.float32]], target: Path) -> None:
    with _quiet():
        quantiser = nncf()
        # Not its own way, which sets the level of every handler of the process.
        logging.getLogger("nncf").setLevel(logging.ERROR)
        network = core().read_model(kept.folder / PICTURES)
        attends = any(node.get_type_name() in _ATTENTION for node in network.get_ops())
        try:
            done = quantiser.quantize(
                network,
                quantiser.Dataset([picture[None] for picture in pixels]),
                preset=quantiser.QuantizationPreset.MIXED,
                model_type=quantiser.ModelType.TRANSFORMER if attends else None,
                subset_size=len(pixels),
                # The slow way keeps more of a convolutional network (.92 of the neighbours of the demo model, not
                # .90), and takes a transformer's patience for nothing.
                fast_bias_correction=attends,
            )
        except Exception as error:  # whatever the quantiser meets in a network that it does not know
            raise NotConvertible(first_line(error)) from error
        openvino().save_model(done, target, compress_to_fp16=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # Its progress bars and its log go to standard output, which belongs to the command.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
