from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from encoder_fixtures import Checkpoints, make_checkpoints, pictures

from clipsearch.config import Settings, read_settings
from clipsearch.encoder import OpenClipEncoder, loading, open_encoder, openvino_encoder, precision, runtimes
from clipsearch.encoder.openvino_encoder import OpenVinoEncoder
from clipsearch.errors import ConfigError, ModelUnavailable
from clipsearch.library import Library


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


@pytest.fixture
def amd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("vendor_id\t: AuthenticAMD\n")
    monkeypatch.setattr(runtimes, "_PROCESSOR_FACTS", facts)


def test_torch_is_what_runs_unless_asked(checkpoints: Checkpoints) -> None:
    assert open_encoder(checkpoints.name("small-clip"), device="cpu").runtime == "torch"


@pytest.mark.usefixtures("amd")
def test_openvino_is_taken_where_it_outruns_torch(checkpoints: Checkpoints, tmp_path: Path) -> None:
    name = checkpoints.name("small-clip")
    encoder = open_encoder(name, device="cpu", dtype="float32", runtime="auto", cache=tmp_path)
    assert (encoder.runtime, encoder.dtype, encoder.device) == ("openvino", "float32", "cpu")


def test_torch_is_taken_where_openvino_is_no_faster(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtimes, "_is_amd", lambda: False)
    caplog.set_level(logging.INFO)
    encoder = open_encoder(
        checkpoints.name("small-clip"), device="cpu", dtype="float32", runtime="auto", cache=tmp_path
    )
    assert encoder.runtime == "torch"
    assert "in float32 it does not outrun torch" in caplog.text


@pytest.mark.usefixtures("amd")
@pytest.mark.parametrize(
    ("dtype", "cache", "installed", "machine", "reason"),
    [
        ("float32", True, False, "x86_64", "it is not installed"),
        ("float32", False, True, "x86_64", "no folder to keep"),
        ("float32", True, True, "aarch64", "processors of the kind aarch64"),
        ("float16", True, True, "x86_64", "float16"),
        ("bfloat16", True, True, "x86_64", "no bfloat16"),
    ],
)
def test_where_openvino_does_not_fit_torch_runs_and_the_log_says_why(
    checkpoints: Checkpoints,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    dtype: str,
    cache: bool,
    installed: bool,
    machine: str,
    reason: str,
) -> None:
    monkeypatch.setattr(runtimes, "openvino_installed", lambda: installed)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(runtimes, "computes_in_bf16", lambda _device: False)
    caplog.set_level(logging.INFO)
    name = checkpoints.name("small-clip")
    encoder = open_encoder(name, device="cpu", dtype=dtype, runtime="auto", cache=tmp_path if cache else None)
    assert isinstance(encoder, OpenClipEncoder)
    assert encoder.dtype == dtype
    assert reason in caplog.text


def test_openvino_asked_for_and_missing_is_an_error_that_names_the_extra(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "openvino_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[openvino\]'"):
        open_encoder(checkpoints.name("small-clip"), device="cpu", runtime="openvino")


def test_openvino_on_a_gpu_is_an_error(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "choose_device", lambda _wanted: "cuda:0")
    with pytest.raises(ConfigError, match="not on cuda:0"):
        open_encoder(checkpoints.name("small-clip"), dtype="float32", runtime="openvino")


def test_an_unknown_runtime_is_an_error(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="auto, torch, openvino"):
        open_encoder(checkpoints.name("small-clip"), runtime="onnx")
    monkeypatch.setenv("CLIPSEARCH_RUNTIME", "onnx")
    with pytest.raises(ConfigError, match="CLIPSEARCH_RUNTIME"):
        read_settings()


@pytest.mark.usefixtures("amd")
def test_a_model_whose_rows_come_out_otherwise_is_refused_and_left_to_torch(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino_encoder, "LEAST_COSINE", 1.01)
    name = checkpoints.name("small-clip")
    with pytest.raises(ModelUnavailable, match=r"a cosine of .* in float32") as caught:
        open_encoder(name, device="cpu", dtype="float32", runtime="openvino", cache=tmp_path)
    assert "CLIPSEARCH_RUNTIME" in caught.value.message
    monkeypatch.setattr(openvino_encoder, "OpenVinoEncoder", lambda *_: pytest.fail("was tried again"))
    caplog.set_level(logging.INFO)
    encoder = open_encoder(name, device="cpu", dtype="float32", runtime="auto", cache=tmp_path)
    assert encoder.runtime == "torch"
    assert "a cosine of" in caplog.text


def test_a_model_that_cannot_be_converted_is_a_clear_error(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipsearch.encoder.openvino_guard import openvino

    def convert_model(*_args: object, **_options: object) -> None:
        raise RuntimeError("no conversion rule for aten::strange\nand much more")

    monkeypatch.setattr(openvino(), "convert_model", convert_model)
    said = r"could not be converted \(no conversion rule for aten::strange\)"
    with pytest.raises(ModelUnavailable, match=said):
        open_encoder(checkpoints.name("small-clip"), device="cpu", runtime="openvino", cache=tmp_path)
    monkeypatch.setattr(loading, "load_model", lambda _source: pytest.fail("was tried again"))
    with pytest.raises(ModelUnavailable, match=said):
        open_encoder(checkpoints.name("small-clip"), device="cpu", runtime="openvino", cache=tmp_path)


@pytest.mark.usefixtures("amd")
def test_a_folder_that_cannot_be_written_leaves_the_model_to_torch(
    checkpoints: Checkpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "file").write_text("")
    name = checkpoints.name("small-clip")
    encoder = open_encoder(name, device="cpu", dtype="float32", runtime="auto", cache=tmp_path / "file")
    assert encoder.runtime == "torch"
    assert "cannot be kept" in caplog.text


def _not_imported(*_: object) -> None:
    raise ImportError("cannot import name 'convert_impl'")


def _without_metadata(package: str) -> str:
    raise PackageNotFoundError(package)


@pytest.mark.usefixtures("amd")
@pytest.mark.parametrize(
    ("part", "broken"),
    [
        ("openvino_encoder.core", _not_imported),
        ("openvino_models.openvino", _not_imported),
        ("openvino_models.version", _without_metadata),
    ],
)
def test_a_broken_or_unknown_openvino_leaves_the_model_to_torch(
    checkpoints: Checkpoints,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    broken: Callable[..., object],
) -> None:
    caplog.set_level(logging.INFO)
    name = checkpoints.name("small-clip")
    with monkeypatch.context() as patch:
        patch.setattr(f"clipsearch.encoder.{part}", broken)
        encoder = open_encoder(name, device="cpu", dtype="float32", runtime="auto", cache=tmp_path)
        assert encoder.runtime == "torch"
        assert "its installation is broken" in caplog.text
        with pytest.raises(ModelUnavailable, match="its installation is broken"):
            open_encoder(name, device="cpu", dtype="float32", runtime="openvino", cache=tmp_path)
    mended = open_encoder(name, device="cpu", dtype="float32", runtime="auto", cache=tmp_path)
    assert mended.runtime == "openvino"


def _short_of_memory(*_: object, **__: object) -> None:
    raise RuntimeError("could not allocate memory\nand more")


@pytest.mark.parametrize("part", ["OpenVinoEncoder", "save_model"])
def test_what_failed_for_once_is_tried_again(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    from clipsearch.encoder.openvino_guard import openvino

    name = checkpoints.name("small-clip")
    with monkeypatch.context() as patch:
        patch.setattr(openvino() if part == "save_model" else openvino_encoder, part, _short_of_memory)
        with pytest.raises(ModelUnavailable, match=r"could not be .* \(could not allocate memory\)"):
            open_encoder(name, device="cpu", dtype="float32", runtime="openvino", cache=tmp_path)
    again = open_encoder(name, device="cpu", dtype="float32", runtime="openvino", cache=tmp_path)
    assert again.runtime == "openvino"


def test_a_library_that_reports_from_an_unknown_place_cannot_report_at_all() -> None:
    code = (
        "import sys; from clipsearch.encoder.openvino_guard import _silent;"
        "known = _silent('json', 'json.decoder'), 'openvino_telemetry' in sys.modules;"
        "other = _silent('json', 'json.gone'), sys.modules['openvino_telemetry'];"
        "print(known[0] is other[0], known[1], other[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False", "None"]


def test_a_library_runs_what_its_settings_say_and_both_make_embeddings_of_one_model(
    model_folder: Path, tmp_path: Path
) -> None:
    rows, facts = {}, {}
    for runtime in ("torch", "openvino"):
        settings = Settings(data_dir=tmp_path, runtime=runtime, dtype="float32", device="cpu")
        with Library.open(settings) as library:
            encoder = library.encoder(str(model_folder))
            assert encoder.runtime == runtime
            rows[runtime], facts[runtime] = encoder.encode_images(pictures(5)).vectors, encoder.model
    assert facts["torch"] == facts["openvino"]
    assert (rows["torch"] * rows["openvino"]).sum(axis=1).min() > 0.99999
    assert (tmp_path / "runtimes").is_dir()


def test_openvino_is_imported_without_what_would_report_its_use() -> None:
    code = (
        "import sys; from clipsearch.encoder.openvino_guard import openvino;"
        "library = openvino(); openvino();"
        "from openvino.tools.ovc import convert_impl, telemetry_utils;"
        "print([part.tm.__name__ for part in (convert_impl, telemetry_utils)], 'openvino_telemetry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "['openvino.tools.ovc.telemetry_stub',",
        "'openvino.tools.ovc.telemetry_stub']",
        "False",
    ]


def test_threads_follow_what_torch_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert openvino_encoder._threads() == 3


def test_the_choice_of_bf16_is_what_auto_takes(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not precision.computes_in_bf16("cpu"):
        pytest.skip("this processor has no bfloat16")
    monkeypatch.setattr(precision, "_bf16_is_faster", lambda: True)
    encoder = open_encoder(checkpoints.name("small-clip"), device="cpu", runtime="auto", cache=tmp_path)
    assert encoder.dtype == "bfloat16"
    if isinstance(encoder, OpenVinoEncoder):
        exact = open_encoder(checkpoints.name("small-clip"), device="cpu", dtype="float32")
        seen = pictures(5)
        cosines = (encoder.encode_images(seen).vectors * exact.encode_images(seen).vectors).sum(axis=1)
        assert np.all(cosines > 0.999)
