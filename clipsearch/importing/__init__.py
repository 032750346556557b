"""Take over embeddings that were made elsewhere, of images and of labels."""

from __future__ import annotations

from clipsearch.importing.clip_retrieval import import_clip_retrieval
from clipsearch.importing.embeddings import import_embeddings, import_label_set
from clipsearch.importing.rows import read_names, read_vectors

__all__ = ["import_clip_retrieval", "import_embeddings", "import_label_set", "read_names", "read_vectors"]
