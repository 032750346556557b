"""True CLIP embeddings of photographs and labels, and what is to come of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from image_fixtures import reference_folder


@pytest.fixture(scope="module")
def true_clip() -> Path:
    """The folder of true ViT-B/32 embeddings."""
    return reference_folder("real_clip")


@pytest.fixture(scope="module")
def clip_expects(true_clip: Path) -> dict[str, Any]:
    """What classifying and searching them has to give."""
    found: dict[str, Any] = json.loads((true_clip / "clip_vitb32_expected.json").read_text())
    return found
