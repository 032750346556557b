"""Makes models of random weights, once and with a fixed seed, in the form that each software takes."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from clipsearch.encoder.torchvision_guard import ensure_torchvision
from clipsearch.model import Model

SEED = 20_261_121
# rclip looks here below its data folder, and downloads only what is not there.
_RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
_RCLIP_VOCABULARY = "tokenizer/bpe_simple_vocab_16e6.txt.gz"


def random_network(architecture: str) -> Any:
    """open_clip's network of this architecture, float32, with the weights that SEED gives."""
    ensure_torchvision()
    import open_clip
    import torch

    torch.manual_seed(SEED)
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns that the weights are random
    return open_clip.create_model(architecture, load_weights=False).eval()


def write_checkpoint(folder: Path, architecture: str, network: Any = None) -> Path:
    """The checkpoint of ``architecture`` in ``folder``, written if it is not there."""
    path = folder / f"{architecture}.safetensors"
    if not path.is_file():
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = (network or random_network(architecture)).state_dict()
        part = path.with_suffix(".part")
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, part)
        part.replace(path)
    return path


def model_name(checkpoint: Path) -> str:
    """The name under which clipsearch loads the checkpoint."""
    return f"{checkpoint.stem}/{checkpoint}"


def facts(checkpoint: Path) -> Model:
    """What a library keeps of the model in the checkpoint."""
    from clipsearch.encoder import open_encoder

    return open_encoder(model_name(checkpoint), device="cpu", dtype="float32").model


def torch_checkpoint(checkpoint: Path) -> Path:
    """The same weights as torch saves them, for older versions of open_clip."""
    path = checkpoint.with_suffix(".pt")
    if not path.is_file():
        import torch
        from safetensors.torch import load_file

        part = path.with_suffix(".pt.part")
        torch.save(load_file(checkpoint), part)
        part.replace(path)
    return path


def write_rclip_models(data_dir: Path, architecture: str = "ViT-B-32-256") -> Path:
    """rclip's data folder with both towers of ``architecture`` in ONNX, float32 as its own are, and the tokenizer."""
    folder = data_dir / _RCLIP_MODEL
    vocabulary = data_dir / _RCLIP_VOCABULARY
    if vocabulary.is_file():
        return data_dir
    folder.mkdir(parents=True, exist_ok=True)
    network = random_network(architecture)
    import open_clip
    import torch

    size = int(network.visual.image_size[0])
    pixels = torch.zeros(2, 3, size, size)
    _export(network.encode_image, pixels, folder / "visual.onnx")
    _export(network.encode_text, open_clip.tokenize(["a dog", "two cats"]), folder / "textual.onnx")
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    published = Path(str(open_clip.__file__)).parent / "bpe_simple_vocab_16e6.txt.gz"
    vocabulary.write_bytes(published.read_bytes())
    return data_dir


def _export(forward: Any, example: Any, path: Path) -> None:
    import torch

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = forward.__self__

        def forward(self, given: Any) -> Any:
            return getattr(self.network, forward.__name__)(given)

    torch.backends.mha.set_fastpath_enabled(False)
    part = f"{path}.part"
    with torch.inference_mode():
        torch.onnx.export(
            Tower().eval(), (example,), part, input_names=["input"], output_names=["output"],
            dynamic_axes={"input": {0: "n"}, "output": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    os.replace(part, path)
