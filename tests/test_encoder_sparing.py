from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from clipsearch.encoder.sparing import sparing_memory

LARGE = 300  # squared more than what is small enough to be copied


class Taught(nn.Module):
    """Two large layers and a small one."""

    def __init__(self, width: int = LARGE) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.small = nn.Linear(3, 3)


def test_parameters_become_the_tensors_that_were_read() -> None:
    state = Taught().state_dict()
    with sparing_memory():
        network = Taught()
        network.load_state_dict(state)
    for name, parameter in network.named_parameters():
        assert isinstance(parameter, nn.Parameter)
        assert parameter.requires_grad
        assert torch.equal(parameter, state[name])
        assert (parameter.data_ptr() == state[name].data_ptr()) == name.endswith(("first.weight", "second.weight"))


def test_another_format_and_a_view_are_copied() -> None:
    state = Taught().state_dict()
    state["first.weight"] = state["first.weight"].half()
    whole = torch.randn(2 * LARGE, LARGE)
    state["second.weight"] = whole[:LARGE]
    with sparing_memory():
        network = Taught()
        network.load_state_dict(state)
    assert network.first.weight.dtype == torch.float32
    assert torch.equal(network.first.weight, state["first.weight"].float())
    assert network.second.weight.data_ptr() != whole.data_ptr()
    assert torch.equal(network.second.weight, whole[:LARGE])


def test_one_parameter_in_two_places_stays_one() -> None:
    class Tied(Taught):
        def __init__(self) -> None:
            super().__init__()
            self.second.weight = self.first.weight

    with sparing_memory():
        network = Tied()
        network.load_state_dict(Tied().state_dict())
    assert network.second.weight is network.first.weight


def test_weights_of_another_shape_are_refused() -> None:
    with sparing_memory(), pytest.raises(RuntimeError, match="size mismatch"):
        Taught().load_state_dict(Taught(LARGE + 1).state_dict())


def test_a_file_is_read_whole_and_bit_by_bit_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipsearch.encoder import sparing

    monkeypatch.setattr(sparing, "_PIECE_BYTES", 400_000)
    state = {**Taught().state_dict(), "half": torch.randn(5).half(), "none": torch.zeros(0, 3)}
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(state, path)
    with sparing_memory():
        read: dict[str, Any] = safetensors.torch.load_file(path)
    assert set(read) == set(state)
    for name, tensor in read.items():
        assert tensor.dtype == state[name].dtype
        assert torch.equal(tensor, state[name])
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_outside_of_it_torch_and_safetensors_are_what_they_were() -> None:
    before = safetensors.torch.load_file
    with suppress(ValueError), sparing_memory():
        assert safetensors.torch.load_file is not before
        raise ValueError("broken")
    assert safetensors.torch.load_file is before
    assert not torch.equal(nn.Linear(LARGE, LARGE).weight, nn.Linear(LARGE, LARGE).weight)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a peak that can be reset")
def test_loading_never_holds_the_weights_twice(tmp_path: Path) -> None:
    width, layers = 1024, 24
    size = width * width * layers * 4  # 100 MB
    safetensors.torch.save_file(
        {f"{number}.weight": torch.full((width, width), float(number)) for number in range(layers)},
        tmp_path / "weights.safetensors",
    )
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    with sparing_memory():
        network = nn.Sequential(*[nn.Linear(width, width, bias=False) for _ in range(layers)])
        network.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    assert [float(weight.detach().mean()) for weight in network.parameters()] == list(range(layers))
    assert _memory("VmHWM") - before < 1.85 * size


def _memory(name: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024
