"""Asks a server by Roboflow's own client; started by the tests with the interpreter that has it.

Arguments: the server's address, a key, and image files. Prints what the client gave as JSON.
"""

from __future__ import annotations

import json
import sys

from inference_sdk import InferenceConfiguration, InferenceHTTPClient
from inference_sdk.http.errors import HTTPCallErrorError


def main(address: str, key: str, images: list[str]) -> None:
    """Every call of the client that the wire serves, and one that it refuses."""
    client = InferenceHTTPClient(api_url=address, api_key=key)
    several = InferenceConfiguration(max_batch_size=8)
    answers = {
        "one image": client.get_clip_image_embeddings(inference_input=images[0]),
        "one text": client.get_clip_text_embeddings(text="a boat", clip_version="demo"),
        "texts": client.get_clip_text_embeddings(text=["a boat", "a house"]),
        "compared": client.clip_compare(subject=images[0], prompt=["a boat", "a house"]),
        "by image": client.clip_compare(subject="a boat", subject_type="text", prompt=images, prompt_type="image"),
    }
    with client.use_configuration(several):
        answers["images"] = client.get_clip_image_embeddings(inference_input=images)
    try:
        client.get_clip_text_embeddings(text="a boat", clip_version="ViT-B-16")
    except HTTPCallErrorError as error:
        answers["refused"] = [error.status_code, error.api_message]
    try:
        InferenceHTTPClient(api_url=address, api_key="none").get_clip_text_embeddings(text="a boat")
    except HTTPCallErrorError as error:
        answers["without key"] = [error.status_code, error.api_message]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
