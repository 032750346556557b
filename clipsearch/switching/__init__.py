"""Further models of a collection: embed its images by them, switch to one in one step, and remove them.

Embedding takes no lease: each batch is a transaction of its own that looks whether an image is still what was
embedded, so that indexing, removing and searching wait for a batch at most. Until the switch the collection answers
as before.
"""

from __future__ import annotations

from clipsearch.switching.adding_models import add_model, queue_embedding
from clipsearch.switching.embedding import OnEmbedding
from clipsearch.switching.models import list_models, missing_images
from clipsearch.switching.switch import check_removable, remove_model, switch_model

__all__ = [
    "OnEmbedding",
    "add_model",
    "check_removable",
    "list_models",
    "missing_images",
    "queue_embedding",
    "remove_model",
    "switch_model",
]
