"""Nearest neighbours by inner product: the only room with faiss, imported when an index is first built.

Leaves out where vectors come from (``database``) and which revision is wanted (``library``): an index
is derived from rows, can be thrown away at any time, and is never the only copy of anything.
"""

from __future__ import annotations

from clipsearch.vector_index.building import RowsById, build_index, exactly, rebuild_due, rebuilt
from clipsearch.vector_index.manifest import Stand
from clipsearch.vector_index.protocol import Neighbours, Trial, VectorIndex
from clipsearch.vector_index.sizes import EXACT_BYTES, RECALL_FLOOR, Kind, choose_kind
from clipsearch.vector_index.snapshots import load_snapshot, save_snapshot

__all__ = [
    "EXACT_BYTES",
    "RECALL_FLOOR",
    "Kind",
    "Neighbours",
    "RowsById",
    "Stand",
    "Trial",
    "VectorIndex",
    "build_index",
    "choose_kind",
    "exactly",
    "load_snapshot",
    "rebuild_due",
    "rebuilt",
    "save_snapshot",
]
