"""Finds, hashes and opens image files upright and in true colour; with the demo the only room with Pillow.

What follows from names and bytes alone (``find_images``, ``uri_of``, ``presence``, ``read_file``,
``read_and_hash``, ``content_hash``) is here at once; what needs Pillow is imported at its first use, so that a
run over an unchanged folder never pays for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from clipsearch.environment import absolute
from clipsearch.images.finding import IMAGE_SUFFIXES, FoundFile, Presence, find_images, path_of, presence, uri_of
from clipsearch.images.hashing import content_hash, read_and_hash, read_file
from clipsearch.images.uploads import (
    all_uploads_folder,
    is_upload,
    keep_upload,
    kept_uploads,
    remove_upload,
    remove_uploads,
    safe_name,
    upload_path,
    uploads_folder,
)

if TYPE_CHECKING:
    from clipsearch.images.apart import DecodingProcess
    from clipsearch.images.contact_sheet import SheetEntry, draw_contact_sheet, write_contact_sheet
    from clipsearch.images.decoding_processes import DecodingProcesses
    from clipsearch.images.opening import MAX_PIXELS, Opened, Source, open_picture
    from clipsearch.images.pixel_hashing import pixel_hash, pixel_hash_distance
    from clipsearch.images.thumbnails import make_thumbnail, thumbnail_of

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "DecodingProcess",
    "DecodingProcesses",
    "FoundFile",
    "Opened",
    "Presence",
    "SheetEntry",
    "Source",
    "absolute",
    "all_uploads_folder",
    "content_hash",
    "draw_contact_sheet",
    "find_images",
    "is_upload",
    "keep_upload",
    "kept_uploads",
    "make_thumbnail",
    "open_picture",
    "path_of",
    "pixel_hash",
    "pixel_hash_distance",
    "presence",
    "read_and_hash",
    "read_file",
    "remove_upload",
    "remove_uploads",
    "safe_name",
    "thumbnail_of",
    "upload_path",
    "uploads_folder",
    "uri_of",
    "write_contact_sheet",
]

_NEEDS_PILLOW: Final = {
    "DecodingProcess": "apart",
    "DecodingProcesses": "decoding_processes",
    "MAX_PIXELS": "opening",
    "Opened": "opening",
    "Source": "opening",
    "open_picture": "opening",
    "pixel_hash": "pixel_hashing",
    "pixel_hash_distance": "pixel_hashing",
    "make_thumbnail": "thumbnails",
    "thumbnail_of": "thumbnails",
    "SheetEntry": "contact_sheet",
    "draw_contact_sheet": "contact_sheet",
    "write_contact_sheet": "contact_sheet",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_PILLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_PILLOW[name]}"), name)
