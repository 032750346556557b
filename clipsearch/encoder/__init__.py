"""Turns pictures and texts into embeddings; the only room with open_clip and torch models.

Importing it imports neither: they come with the first ``open_encoder`` or catalogue call.
"""

from clipsearch.encoder.catalogue import ModelListing, describe_model, download_model, list_models
from clipsearch.encoder.names import ModelSource, parse_model_name
from clipsearch.encoder.open_clip_encoder import OpenClipEncoder, open_encoder
from clipsearch.encoder.protocol import Encoded, Encoder, TextEncoder

__all__ = [
    "Encoded",
    "Encoder",
    "ModelListing",
    "ModelSource",
    "OpenClipEncoder",
    "TextEncoder",
    "describe_model",
    "download_model",
    "list_models",
    "open_encoder",
    "parse_model_name",
]
