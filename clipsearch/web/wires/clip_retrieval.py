"""The wire of clip-retrieval's back end: a collection is an index, an image's id the number of its row."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BeforeValidator, Field

from clipsearch.answers import Hit, ImageInfo
from clipsearch.browsing import show_images
from clipsearch.encoding import choose_model
from clipsearch.errors import Busy, ClipSearchError, InvalidInput, ModelNotFound, ModelSwitched
from clipsearch.inspecting import list_collections
from clipsearch.library import SWITCHES_AT_ONCE
from clipsearch.queries import MAX_DEPTH, MAX_K, ImageId, Query, Term, Text, Vector
from clipsearch.searching import search_many
from clipsearch.web.context import context
from clipsearch.web.errors import InvalidRequest
from clipsearch.web.fetched import fetched
from clipsearch.web.messages import Base64Image
from clipsearch.web.scopes import needs
from clipsearch.web.wires.bodies import Body, read_body
from clipsearch.web.wires.models import model_meant
from clipsearch.web.wires.vectors import numbers, pictures_encoded, texts_encoded
from clipsearch.web.wires.wire import Problem, reply, wire

IGNORED = "Clipsearch-Ignored"
MAX_IDS = 1_000
# A picture of each of a thousand images would be twenty megabytes, and a minute's work.
MOST_PICTURES = 100
THUMBNAIL = 320
# In the order of the original; what else is kept of an image follows.
_FIRST = ("url", "caption", "image_path", "NSFW")
_NOT_COLUMNS = {"id", "similarity", "image"}
_WEB = ("http://", "https://")


def _tell(problem: Problem) -> dict[str, Any]:
    return {"message": problem["detail"], "code": problem["code"], "request_id": problem["request_id"]}


routes = wire("clip-retrieval", _tell, statuses={422: 400})


def _nothing(value: Any) -> Any:
    return None if value == "" else value


class KnnBody(Body):
    """What to look for, in which index, and how much of the answer to give."""

    text: Annotated[Text | None, BeforeValidator(_nothing)] = None
    image: Annotated[Base64Image | None, BeforeValidator(_nothing)] = None
    image_url: Annotated[Text | None, BeforeValidator(_nothing)] = None
    embedding_input: Vector | None = None
    modality: Literal["image", "text"]
    num_images: Annotated[int, Field(ge=1, le=MAX_K)]
    num_result_ids: Annotated[int, Field(ge=1, le=MAX_DEPTH)] | None = None
    indice_name: Annotated[str, Field(min_length=1, max_length=200)]
    use_mclip: bool = False
    deduplicate: bool = False
    use_safety_model: bool = False
    use_violence_detector: bool = False
    aesthetic_score: Annotated[float | None, BeforeValidator(_nothing)] = None
    aesthetic_weight: Annotated[float | None, BeforeValidator(_nothing)] = None

    def ignored(self) -> list[str]:
        """What is asked for and has no effect here: what the original does with models that are not CLIP."""
        names = ("use_safety_model", "use_violence_detector", "aesthetic_score", "aesthetic_weight")
        return [name for name in names if getattr(self, name)]


class MetadataBody(Body):
    """Images to tell of, by their ids."""

    indice_name: Annotated[str, Field(min_length=1, max_length=200)]
    ids: Annotated[tuple[ImageId, ...], Field(max_length=MAX_IDS)]


@routes.get("/indices-list")
def indices() -> Response:
    """The collections."""
    return reply([one.name for one in list_collections(context().library)])


@routes.post("/knn-service")
@needs("read")
def knn() -> Response:
    """The nearest images, the best first; those beyond ``num_images`` with id and similarity only."""
    asked = read_body(KnnBody)
    if asked.modality == "text":
        raise InvalidInput("a collection holds images; for the modality text there is no index here")
    hits = _nearest(asked)
    told = _with_pictures(asked.indice_name, [hit.image for hit in hits[: asked.num_images]])
    told += [{} for _ in hits[asked.num_images :]]
    response = reply(
        [{"id": hit.image.id, "similarity": hit.score} | columns for hit, columns in zip(hits, told, strict=True)]
    )
    if ignored := asked.ignored():
        response.headers[IGNORED] = ", ".join(ignored)
    return response


@routes.post("/metadata")
@needs("read")
def about() -> Response:
    """What is kept of images beside their embeddings."""
    asked = read_body(MetadataBody)
    library = context().library
    found = show_images(library, asked.ids, collection=asked.indice_name)
    told = _with_pictures(asked.indice_name, found)
    return reply([{"id": one.id, "metadata": columns} for one, columns in zip(found, told, strict=True)])


def _nearest(asked: KnnBody) -> list[Hit]:
    """The hits in their order; looked for anew where the collection is switched before they are found.

    The first of text, image, address and vector counts.
    """
    image = asked.image
    if asked.text is None and image is None and asked.image_url is not None:
        image = fetched([asked.image_url])[0]
    for _ in range(SWITCHES_AT_ONCE):
        with suppress(ModelSwitched):
            return _hits_at_once(asked, image)
    raise ModelSwitched("the collection is being switched to and fro; ask again")


def _hits_at_once(asked: KnnBody, image: bytes | None) -> list[Hit]:
    """The hits by the model that the collection has now. Raises ModelSwitched where it has another in the end."""
    model = choose_model(context().library, collection=asked.indice_name)
    if asked.use_mclip:
        _check_mclip(asked.indice_name, model.name)
    if asked.text is not None:
        return _hits(asked, numbers(texts_encoded([asked.text], model, called="text").vectors[0]), model.name)
    if image is not None:
        return _hits(asked, numbers(pictures_encoded([image], model, called="image").vectors[0]), model.name)
    if asked.embedding_input is not None:
        return _hits(asked, asked.embedding_input)
    raise InvalidRequest("must fill one of text, image and image url input")


def _check_mclip(name: str, served: str) -> None:
    """Raises ModelNotFound unless the settings say that the collection's model may stand for the multilingual one."""
    if model_meant("mclip", served=served) is not None:
        raise ModelNotFound(f"CLIPSEARCH_COMPAT_MODELS maps mclip to another model than {served}, which {name!r} has")


def _hits(asked: KnnBody, vector: Sequence[float], model: str | None = None) -> list[Hit]:
    """The hits of a vector, in their order, as many as ids are asked for; one query gives no more than ``MAX_K``.

    ``model`` is the one that made the vector: ModelSwitched where the collection has another by now.
    """
    wanted = max(asked.num_images, asked.num_result_ids or 0)
    terms = (Term(vector=tuple(vector)),)
    queries = [
        Query(terms=terms, k=min(MAX_K, wanted - start), offset=start, collapse_duplicates=asked.deduplicate)
        for start in range(0, wanted, MAX_K)
    ]
    held = context()
    with held.search_slots.taken():
        answers = search_many(held.library, queries, collection=asked.indice_name, wait=False, model=model)
    return [hit for answer in answers for hit in answer.hits]


def _columns(info: ImageInfo) -> dict[str, Any]:
    """What is kept of an image, under the names that the original has for it."""
    place = "url" if info.uri.startswith(_WEB) else "image_path"
    kept = {name: value for name, value in info.attributes.items() if name not in _NOT_COLUMNS}
    known = {place: info.uri} | kept
    return {name: known[name] for name in dict.fromkeys((*_FIRST, *known)) if name in known}


def _with_pictures(collection: str, images: Sequence[ImageInfo]) -> list[dict[str, Any]]:
    """The columns of images, and small JPEGs in base64 of those whose files are there: of the first ones only.

    Raises Busy, also when the request's time is up; what was made until then is kept.
    """
    told = [_columns(one) for one in images]
    for columns, one in zip(told, images[:MOST_PICTURES], strict=False):
        if data := _small_picture(collection, one):
            columns["image"] = base64.b64encode(data).decode()
    return told


def _small_picture(collection: str, image: ImageInfo) -> bytes | None:
    """The JPEG as it is kept, or made while holding a slot; None where the file is gone, or no image any more."""
    held = context()
    if kept := held.thumbnails.find(image, THUMBNAIL):
        return kept
    try:
        with held.slots.taken():
            return held.thumbnails.make(image, collection, THUMBNAIL)
    except Busy:
        raise
    except ClipSearchError:
        return None
