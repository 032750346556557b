"""Opens a model in one of the runtimes; alone knows when the second one may be chosen, and says why where not."""

from __future__ import annotations

import functools
import importlib.util
import logging
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from clipsearch.encoder.names import ModelSource, parse_model_name
from clipsearch.encoder.open_clip_encoder import OpenClipEncoder
from clipsearch.encoder.precision import DType, choose_device, choose_dtype, computes_in_bf16
from clipsearch.errors import ConfigError, ModelUnavailable

if TYPE_CHECKING:
    from clipsearch.encoder.openvino_encoder import OpenVinoEncoder

RUNTIMES = ("auto", "torch", "openvino")

_MACHINES = {"x86_64", "amd64"}
_PROCESSOR_FACTS = Path("/proc/cpuinfo")
_log = logging.getLogger(__name__)


@overload
def open_encoder(
    name: str, *, device: str = "auto", dtype: str = "auto", batch_size: int | None = None
) -> OpenClipEncoder: ...


@overload
def open_encoder(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    runtime: str,
    cache: Path | None = None,
) -> OpenClipEncoder | OpenVinoEncoder: ...


def open_encoder(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    runtime: str = "torch",
    cache: Path | None = None,
) -> OpenClipEncoder | OpenVinoEncoder:
    """Load the model called ``name`` (see names.py) and place it.

    ``runtime`` "auto" takes OpenVINO where it is installed, fits, and computes what torch does. It keeps its
    conversion of the model in the folder ``cache``; without one it converts at every start, and only when asked to.
    "int8" as ``dtype`` needs a calibration that passed, kept in ``cache``.

    Raises ModelNotFound, ModelMismatch, ModelUnavailable, or ConfigError for a device, dtype, batch size or runtime
    that cannot be.
    """
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"A batch holds at least one input, not {batch_size}.", batch_size=batch_size)
    if runtime not in RUNTIMES:
        raise ConfigError(f"There is no runtime {runtime!r}: use {', '.join(RUNTIMES)}.", runtime=runtime)
    source = parse_model_name(name)
    chosen_device = choose_device(device)
    if dtype == "int8":
        return _open_int8(source, chosen_device, runtime, batch_size, cache)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    from clipsearch.encoder.loading import load_model

    load = functools.cache(lambda: load_model(source))
    if runtime != "torch":
        obstacle = _obstacle(chosen_device, chosen_dtype)
        if runtime == "auto":
            obstacle = obstacle or _disadvantage(chosen_dtype, cache)
        if obstacle is None:
            from clipsearch.encoder.openvino_encoder import open_openvino
            from clipsearch.encoder.openvino_models import NotConvertible

            try:
                return open_openvino(source, load, chosen_dtype, batch_size=batch_size, cache=cache)
            except NotConvertible as error:
                if runtime == "openvino":
                    raise ModelUnavailable(
                        f"OpenVINO cannot run {source.name}: {error}. Use the runtime torch (CLIPSEARCH_RUNTIME).",
                        model=source.name,
                    ) from error
                obstacle = str(error)
        elif runtime == "openvino":
            raise ConfigError(f"The runtime openvino was asked for, and {obstacle}.", runtime=runtime)
        _log.info("%s runs in torch: as to OpenVINO, %s.", source.name, obstacle)
    return OpenClipEncoder(load(), chosen_device, chosen_dtype, batch_size)


def describe_runtimes(name: str, cache: Path) -> dict[str, Any]:
    """What may run the model and what is kept for it in ``cache``, as JSON values; loads neither torch nor OpenVINO.

    ``converted`` and ``int8`` tell what is on disk; whether it still fits the weights shows when the model is opened.
    """
    from clipsearch.encoder.kept_files import NotBelieved, read_kept
    from clipsearch.encoder.openvino_models import folder_for

    try:
        notes = read_kept(folder_for(cache, parse_model_name(name))) or {}
    except NotBelieved:
        notes = {}
    return {
        "torch": _version("torch"),
        "openvino": _version("openvino"),
        "converted": bool(notes),
        "refused": notes.get("refusals", {}),
        "int8": notes.get("calibration"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def openvino_installed() -> bool:
    """Whether the second runtime is there; imports nothing."""
    return importlib.util.find_spec("openvino") is not None


def _obstacle(device: str, dtype: DType | None) -> str | None:
    """Why OpenVINO is not to be used here, or None."""
    if not openvino_installed():
        return "it is not installed: pip install -e '.[openvino]' in the clone"
    if device != "cpu":
        return f"it computes on the processor here, not on {device}"
    if platform.machine().lower() not in _MACHINES:
        return f"it was not measured on processors of the kind {platform.machine()}"
    if dtype == "float16":
        return "it does not compute in float16 here: use float32 or bfloat16"
    if dtype == "bfloat16" and not computes_in_bf16("cpu"):
        return "this processor has no bfloat16: use float32"
    return None


def _disadvantage(dtype: DType, cache: Path | None) -> str | None:
    """Why OpenVINO, though it could be used, is not worth it, or None.

    Images a second of ViT-B/32 by one core, OpenVINO against torch. In bfloat16: 39 to 31 on an AMD Zen 5, 9 to 7 on
    an Intel Sapphire Rapids without AMX. In float32: 15 to 15 on the Intel. On the AMD float32 was not measured;
    there oneDNN, which OpenVINO computes with, multiplies matrices at twice the rate of MKL, which torch takes.
    """
    if cache is None:
        return "there is no folder to keep a conversion in"
    if dtype == "float32" and not _is_amd():
        return "in float32 it does not outrun torch on this processor"
    return None


def _is_amd() -> bool:
    try:
        described = _PROCESSOR_FACTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        described = platform.processor()
    return "AuthenticAMD" in described


def check_quantisable(name: str, cache: Path) -> None:
    """See whether the model may be calibrated for int8 on this machine, as far as that shows before it is loaded.

    Raises ConfigError where something is missing, ModelUnavailable for a model that was refused before.
    """
    _check_runs_int8("cpu")
    from clipsearch.encoder import calibration

    calibration.check_quantisable(parse_model_name(name), cache)


def _check_runs_int8(device: str) -> None:
    obstacle = _obstacle(device, None)
    if obstacle is not None:
        raise ConfigError(f"int8 is computed by OpenVINO, and {obstacle}.", dtype="int8")


def _open_int8(
    source: ModelSource, device: str, runtime: str, batch_size: int | None, cache: Path | None
) -> OpenVinoEncoder:
    if runtime == "torch":
        raise ConfigError("int8 is computed by OpenVINO, and the runtime torch was asked for.", dtype="int8")
    _check_runs_int8(device)
    from clipsearch.encoder.calibration import open_calibrated

    return open_calibrated(source, cache, batch_size)
