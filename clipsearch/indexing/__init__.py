"""Index a source into a collection: what is new or changed is embedded, what moved is taken over, what is gone leaves.

Every batch is one transaction and one revision, so that a run which is killed loses nothing it has committed and
the next one goes on from there.
"""

from __future__ import annotations

from clipsearch.indexing.options import IndexingOptions
from clipsearch.indexing.run import Progress, index_source, queue_run

__all__ = ["IndexingOptions", "Progress", "index_source", "queue_run"]
