"""Asks a server by clip-retrieval's own client; started by the tests with the interpreter that has it.

Arguments: the server's address and an image file. Prints what the client gave as JSON. The client is loaded by
itself: its package loads a whole server with it.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType


def client_module() -> ModuleType:
    """The module ``clip_retrieval.clip_client`` as it was installed."""
    package = importlib.util.find_spec("clip_retrieval")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).with_name("clip_client.py")
    spec = importlib.util.spec_from_file_location("clip_client", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(address: str, image: str) -> None:
    """Every kind of query that the client knows, and two that are refused."""
    module = client_module()
    plain = module.ClipClient(url=f"{address}/knn-service", indice_name="default", num_images=3)
    captions = module.ClipClient(url=f"{address}/knn-service", indice_name="default", modality=module.Modality.TEXT)
    unknown = module.ClipClient(url=f"{address}/knn-service", indice_name="laion5B-L-14")
    json.dump(
        {
            "text": plain.query(text="a boat"),
            "image": plain.query(image=image),
            "embedding": plain.query(embedding_input=[1.0] + [0.0] * 127),
            "captions": captions.query(text="a boat"),
            "unknown": unknown.query(text="a boat"),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
