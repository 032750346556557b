"""What the fault tests do to tags in processes of their own; no model is loaded, and no text encoded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from library_fixtures import unit_rows
from store_workers import NAME, open_library

from clipsearch.database import collections as collection_rows
from clipsearch.database import models as model_rows
from clipsearch.database.images import NewImage, save_images
from clipsearch.database.label_embeddings import save_label_embeddings
from clipsearch.database.label_sets import save_label_set
from clipsearch.label_set import LabelSet
from clipsearch.tagging import applying, tag_collection

IMAGES = 3_000
LABELS = 12
DIMENSION = 32
BLOCK = 64


def fill(data_dir: str) -> None:
    """A collection of embeddings, and a label set that came with its own."""
    with open_library(Path(data_dir)) as library:
        row, _ = library.ensure_collection()
        rows = unit_rows(IMAGES, DIMENSION)
        with library.database.write() as connection:
            model = model_rows.keep_model(connection, library.encoder(NAME).model)
            revision = collection_rows.advance(connection, row.id)
            images = [NewImage(uri=f"imported-{number}", vector=vector) for number, vector in enumerate(rows)]
            save_images(connection, row.id, revision, model.id, images)
            names = [f"label {number}" for number in range(LABELS)]
            wanted = LabelSet.of([(name, [name]) for name in names], ["{}"])
            label_set = save_label_set(connection, "things", wanted)
            save_label_embeddings(connection, label_set, model.id, unit_rows(LABELS, DIMENSION, seed=1))


def tag(data_dir: str) -> None:
    """Tag in small blocks, and say how many images have their tags once that is committed."""
    applying.BLOCK = BLOCK

    def tell(done: int, _total: int) -> None:
        sys.stdout.write(json.dumps({"done": done}) + "\n")
        sys.stdout.flush()

    with open_library(Path(data_dir)) as library:
        tag_collection(library, "things", on_progress=tell)
    sys.stdout.write(json.dumps({"finished": True}) + "\n")
    sys.stdout.flush()
