"""Classify images with labels: pictures that are given, or what is stored, which needs neither picture nor model."""

from __future__ import annotations

from clipsearch.classifying.classify import classify_pictures, classify_stored
from clipsearch.classifying.pictures import PictureSource

__all__ = ["PictureSource", "classify_pictures", "classify_stored"]
