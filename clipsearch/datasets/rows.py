"""What a labelled dataset is made of, one image at a time, whoever labelled it and whatever form it is written in."""

from __future__ import annotations

import datetime as dt
import os
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

REJECTED = "_rejected"  # where rejected images stand, when they are not left out
Source = Literal["model", "review"]


@dataclass(frozen=True)
class DatasetClass:
    """One class of a dataset, a label or a category; ``number`` counts from 1 in the order of the set, and is the
    same in every part and every form."""

    number: int
    name: str
    group: str = ""  # the category that it belongs to, where it is a label


@dataclass(frozen=True)
class GivenLabel:
    """A class that an image has, and how sure it is; None for what a person decided."""

    cls: DatasetClass
    probability: float | None = None
    score: float | None = None
    margin: float | None = None


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image of a dataset.

    ``path`` is its file as the system names it, None where it has none (an embedding that was imported). ``labels``
    are its classes, the best first; without any it is rejected, and ``rejected`` says why. ``part`` is train, valid
    or test; None where the dataset is not split, and for a rejected image. ``vector`` is float32 [d], where asked for.
    """

    uri: str
    path: str | None = None
    content_hash: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    size: int | None = None
    modified_at: dt.datetime | None = None
    labels: tuple[GivenLabel, ...] = ()
    part: str | None = None
    rejected: str | None = None
    source: Source = "model"
    vector: NDArray[np.float32] | None = None

    @property
    def url(self) -> str:
        """Where the image is: a ``file://`` address for a local file, byte for byte; else its uri."""
        if self.path is None:
            return self.uri
        return "file://" + urllib.parse.quote_from_bytes(os.fsencode(self.path))


Rows = Iterable[LabelledImage]
