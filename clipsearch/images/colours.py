"""Turns an image of any mode into true RGB; alone knows bit depths, alpha, palettes and colour profiles."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageCms

_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_MODES_OF_SPACE: Final = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_WHITE: Final = (255, 255, 255)


def to_rgb(image: PILImage.Image) -> PILImage.Image:
    """A new RGB picture of a loaded image of any mode, in sRGB, with what is transparent on white.

    Deep greys: 16 bits are scaled by 1/257 (TIFFs that hold only 8 or 12 bits in 16 by what they hold);
    floats between 0 and 1 by 255; other floats, and integers of 32 bits beyond 65535 or below 0, from their
    least to their greatest value; NaN is black. A colour profile that is damaged or does not fit is ignored.
    Raises what Pillow raises for a mode that it cannot convert.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep_grey(image)
    colours, alpha = _split_alpha(image)
    picture = _to_srgb(colours, profile)
    if picture is None:
        picture = colours.convert("RGB") if colours.mode != "RGB" else colours.copy()
    if alpha is not None and alpha.getextrema() != (255, 255):
        white = PILImage.new("RGB", picture.size, _WHITE)
        white.paste(picture, mask=alpha)
        picture = white
    picture.info = {}
    return picture


def _split_alpha(image: PILImage.Image) -> tuple[PILImage.Image, PILImage.Image | None]:
    """An image of a mode without alpha, and the alpha (mode L) that it had."""
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode not in ("LA", "RGBA") and image.has_transparency_data:
        try:
            image = image.convert("RGBA")
        except (ValueError, TypeError, OverflowError):  # a transparent colour that the image cannot hold
            image.info.pop("transparency", None)
    if image.mode in ("LA", "RGBA"):
        return image.convert(image.mode.removesuffix("A")), image.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    return (image.convert("RGB") if image.mode in ("P", "RGBX") else image), None


def _from_deep_grey(image: PILImage.Image) -> PILImage.Image:
    values: npt.NDArray[Any] = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    least, greatest = _black_and_white(image, values)
    grey = _scale(values, least, greatest)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns 8-bit TIFFs of this kind, but no deeper ones
        np.subtract(255, grey, out=grey)
    picture = PILImage.fromarray(grey)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        picture.putalpha(PILImage.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return picture


def _black_and_white(image: PILImage.Image, values: npt.NDArray[Any]) -> tuple[float, float]:
    """Which values are black and white: by the format, and where it says nothing, by the values' range."""
    if image.format in ("PNG", "PPM") and image.mode != "F":
        return 0, 65535
    finite = [band[np.isfinite(band)] for band in _bands(values)]
    least = float(min((band.min() for band in finite if band.size), default=0))
    greatest = float(max((band.max() for band in finite if band.size), default=0))
    if image.mode == "F":
        usual: tuple[int, ...] = (1,)
    elif image.mode == "I":
        usual = (255, 65535)
    else:
        usual = (255, 4095, 65535)  # instruments keep 8 or 12 bits in 16
    for white in usual:
        if least >= 0 and greatest <= white:
            return 0, white
    return least, greatest


def _scale(values: npt.NDArray[Any], least: float, greatest: float) -> npt.NDArray[np.uint8]:
    grey = np.full(values.shape, 128, np.uint8)
    for band, scaled in zip(_bands(values), _bands(grey), strict=True):
        if greatest > least:
            exact = (band.astype(np.float64) - least) * (255.0 / (greatest - least))
            scaled[...] = np.rint(np.clip(np.nan_to_num(exact, nan=0, posinf=255, neginf=0), 0, 255))
        else:
            scaled[np.isnan(band)] = 0
    return grey


def _bands(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """The rows in views of a million values or so: 50 million made floats at once would take a gigabyte."""
    rows = max(1, 1_000_000 // max(1, values.shape[1]))
    return (values[at : at + rows] for at in range(0, values.shape[0], rows))


def _to_srgb(image: PILImage.Image, profile: object) -> PILImage.Image | None:
    """The image in sRGB by its colour profile; None when there is none to apply, or it cannot be applied."""
    if not isinstance(profile, bytes) or _MODES_OF_SPACE.get(profile[16:20]) != image.mode:
        return None
    if image.mode == "RGB" and b"sRGB" in _description(profile).replace(b"\0", b""):
        return None
    try:
        return _transform_of(profile, image.mode).apply(image)
    except Exception:  # noqa: BLE001 - lcms refuses in many ways; naive colours are better than none
        return None


@functools.lru_cache(maxsize=16)
def _transform_of(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Kept, because a folder's pictures share few profiles and building a transform takes milliseconds.

    Applying one from several threads at once is safe: lcms keeps no state in it.
    """
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _description(profile: bytes) -> bytes:
    """The profile's own name, read from its table of tags: much cheaper than opening it with lcms."""
    for at in range(132, 132 + 12 * min(int.from_bytes(profile[128:132], "big"), 64), 12):
        if profile[at : at + 4] == b"desc":
            offset = int.from_bytes(profile[at + 4 : at + 8], "big")
            return profile[offset : offset + min(int.from_bytes(profile[at + 8 : at + 12], "big"), 256)]
    return b""
