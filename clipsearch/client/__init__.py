"""Asks a clipsearch server from Python; loads neither torch nor the web framework.

::

    from clipsearch.client import Client

    with Client("http://127.0.0.1:8000", key="cs_…") as client:
        for hit in client.search("a dog on a beach").hits:
            print(hit.rank, hit.score, hit.image.uri)
"""

from __future__ import annotations

from clipsearch.client.client import Client
from clipsearch.client.problems import InvalidRequest, NoAnswer, ServerError
from clipsearch.client.uploading import Progress

__all__ = ["Client", "InvalidRequest", "NoAnswer", "Progress", "ServerError"]
