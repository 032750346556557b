from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from clipsearch.encoder import precision
from clipsearch.encoder.precision import choose_device, choose_dtype
from clipsearch.errors import ConfigError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def processor(monkeypatch: pytest.MonkeyPatch, **instructions: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_processor_computes() -> None:
    assert choose_device("auto") == choose_device("cpu") == "cpu"


@pytest.mark.usefixtures("two_gpus")
def test_the_first_gpu_is_taken_where_there_is_one() -> None:
    assert choose_device("auto") == choose_device("cuda") == "cuda:0"
    assert choose_device("cuda:1") == "cuda:1"
    assert choose_device("cpu") == "cpu"


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:0"])
def test_asking_for_a_gpu_that_is_not_there_is_an_error(wanted: str) -> None:
    with pytest.raises(ConfigError, match="no CUDA GPU"):
        choose_device(wanted)


@pytest.mark.usefixtures("two_gpus")
def test_asking_for_a_third_of_two_gpus_is_an_error() -> None:
    with pytest.raises(ConfigError, match="2 GPU"):
        choose_device("cuda:2")


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cpu:0", ""])
def test_an_unknown_device_is_an_error(wanted: str) -> None:
    with pytest.raises(ConfigError, match="no device"):
        choose_device(wanted)


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_bf16_instructions_uses_them_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, instructions: str
) -> None:
    processor(monkeypatch, avx2=True, **{instructions: True})
    monkeypatch.setattr(precision, "_bf16_is_faster", lambda: True)
    assert choose_dtype("auto", "cpu") == "bfloat16"
    monkeypatch.setattr(precision, "_bf16_is_faster", lambda: False)
    assert choose_dtype("auto", "cpu") == "float32"
    assert choose_dtype("bfloat16", "cpu") == "bfloat16"


def test_what_is_faster_is_told_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, avx512_bf16=True)
    for faster in (torch.float32, torch.bfloat16):
        timed: list[torch.dtype] = []

        def seconds(
            work: Callable[[], torch.Tensor], timed: list[torch.dtype] = timed, faster: torch.dtype = faster
        ) -> float:
            timed.append(work().dtype)
            return 1.0 if timed[-1] is faster else 2.0

        monkeypatch.setattr(precision, "_seconds", seconds)
        precision._bf16_is_faster.cache_clear()
        assert precision._bf16_is_faster() == (faster is torch.bfloat16)
        assert set(timed) == {torch.float32, torch.bfloat16}
    precision._bf16_is_faster.cache_clear()


def test_a_matrix_unit_for_bf16_needs_no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, amx_bf16=True)
    monkeypatch.setattr(precision, "_seconds", lambda _work: pytest.fail("was measured"))
    precision._bf16_is_faster.cache_clear()
    assert choose_dtype("auto", "cpu") == "bfloat16"
    precision._bf16_is_faster.cache_clear()


def test_a_processor_without_bf16_instructions_uses_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, avx2=True, avx512_f=True, avx512_bf16=False, amx_bf16=False)
    assert choose_dtype("auto", "cpu") == "float32"
    processor(monkeypatch)
    assert choose_dtype("auto", "cpu") == "float32"


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "float16"])
def test_the_choice_can_be_overruled(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    processor(monkeypatch)
    assert choose_dtype(wanted, "cpu") == wanted


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_computes_in_bf16_where_it_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_dtype("auto", "cuda:0") == "bfloat16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    assert choose_dtype("auto", "cuda:0") == "float32"
    assert choose_dtype("float16", "cuda:0") == "float16"
    with pytest.raises(ConfigError, match="no bfloat16"):
        choose_dtype("bfloat16", "cuda:0")


def test_an_unknown_dtype_is_an_error() -> None:
    with pytest.raises(ConfigError, match="float32, bfloat16, float16"):
        choose_dtype("int8", "cpu")
