"""Classify images with labels: pictures that are given, or what is stored, which needs neither picture nor model."""

from __future__ import annotations

from clipsearch.classifying.classify import classify_pictures, classify_stored, classify_with_sets
from clipsearch.classifying.pictures import PictureSource
from clipsearch.classifying.previewing import preview_label_set
from clipsearch.classifying.stored import PredictionBlock, StoredPredictions, classify_all

__all__ = [
    "PictureSource",
    "PredictionBlock",
    "StoredPredictions",
    "classify_all",
    "classify_pictures",
    "classify_stored",
    "classify_with_sets",
    "preview_label_set",
]
