"""Turns pictures into a model's inputs by the model's own preprocessing; alone knows what that cannot cope with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    import torch

_LONGEST_STRIP = 16  # sides longer than this many times the other are cut before they are resized


class PictureReader:
    """open_clip's transform for one model, for pictures of any mode and shape. Safe to share between threads.

    ``preprocessing`` is that of the model's facts: open_clip's settings as JSON values.
    """

    def __init__(self, preprocessing: Mapping[str, Any]) -> None:
        self._transform = transform_by(preprocessing)
        self._keeps_the_centre = preprocessing.get("resize_mode") == "shortest"

    def prepare(self, picture: PIL.Image.Image) -> NDArray[np.float32]:
        """The model's own preprocessing of one upright picture: float32 [3, height, width]."""
        # open_clip converts after resizing, which for palettes would resize colour numbers.
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        if self._keeps_the_centre:
            picture = _without_far_ends(picture)
        pixels: NDArray[np.float32] = self._transform(picture).numpy()
        return pixels


def transform_by(preprocessing: Mapping[str, Any]) -> Callable[[PIL.Image.Image], torch.Tensor]:
    """open_clip's evaluation transform with these settings."""
    from clipsearch.encoder.factory import open_clip

    open_clip()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in preprocessing.items()}
    transform: Callable[[PIL.Image.Image], torch.Tensor] = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    return transform


def _without_far_ends(picture: PIL.Image.Image) -> PIL.Image.Image:
    # Where the short side is resized and the centre kept, a strip of 1 x 10,000 pixels would become one of
    # 224 x 2,240,000 first. Nothing so far from the centre is kept: cut it off while it is small.
    width, height = picture.size
    limit = _LONGEST_STRIP * min(width, height)
    if max(width, height) <= limit:
        return picture
    across, down = max(0, width - limit) // 2, max(0, height - limit) // 2
    return picture.crop((across, down, width - across, height - down))
