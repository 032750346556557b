"""Images on a server: list, show, fetch, give attributes, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from clipsearch.answers import ImageDetails, ImageInfo
from clipsearch.answers.additions import ImagesAdded
from clipsearch.answers.base import Answer
from clipsearch.attributes import lines_of
from clipsearch.client.asking import body_of_filters
from clipsearch.client.transport import Transport, segment
from clipsearch.client.uploading import Progress, Upload, upload_all
from clipsearch.queries import Filters

PAGE = 1_000
URLS_AT_ONCE = 16


class _Page(Answer):
    images: list[ImageInfo]
    next: int | str | None


class _Removed(Answer):
    removed: list[ImageInfo]


class Images:
    """``client.images``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        files: Sequence[Upload],
        *,
        collection: str,
        attributes: Mapping[str, Any] | None = None,
        parallel: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> ImagesAdded:
        """Add pictures to a collection: files here, or (name, bytes); the answer has one entry for each, in order.

        Several requests go at once, up to ``parallel``, with several pictures each. A picture that cannot be read,
        here or there, costs itself only: its entry says why. ``attributes`` are given to all of them. Raises
        InvalidKey, InvalidRequest (for an attribute, say) and what else concerns all of them.
        """
        return upload_all(self._transport, files, collection, attributes or {}, parallel, on_progress)

    def add_urls(
        self, urls: Sequence[str], *, collection: str, attributes: Mapping[str, Any] | None = None
    ) -> ImagesAdded:
        """Have the server fetch pictures; only where its settings let it. Raises NotAllowed where they do not."""
        path = f"/collections/{segment(collection)}/images"
        more = {"attributes": dict(attributes)} if attributes else {}
        found = []
        for start in range(0, len(urls), URLS_AT_ONCE):
            body = {"images": [{"url": url, **more} for url in urls[start : start + URLS_AT_ONCE]]}
            found += self._transport.ask(ImagesAdded, path, body).images
        return ImagesAdded(collection=collection, images=found)

    def all(
        self,
        *,
        collection: str,
        filters: Filters | None = None,
        sort: Literal["id", "newest", "oldest"] = "id",
    ) -> Iterator[ImageInfo]:
        """The images that pass, page by page."""
        parameters = body_of_filters(filters or Filters())
        attributes = parameters.pop("attributes", None)
        if attributes:
            parameters["attribute"] = [
                line for name, value in attributes.items() for line in lines_of(name, value, ":")
            ]
        if sort != "id":
            parameters["sort"] = sort
        after: int | str | None = None
        while True:
            path = f"/collections/{segment(collection)}/images"
            page = self._transport.read(_Page, path, **parameters, after=after, limit=PAGE)
            yield from page.images
            after = page.next
            if after is None:
                return

    def show(self, image_id: int, *, collection: str) -> ImageDetails:
        """One image with its tags. Raises ImageNotFound."""
        return self._transport.read(ImageDetails, f"/collections/{segment(collection)}/images/{image_id}")

    def set_attributes(self, image_id: int, attributes: Mapping[str, Any], *, collection: str) -> ImageDetails:
        """Give an image attributes besides those it has; None removes one."""
        path = f"/collections/{segment(collection)}/images/{image_id}"
        return self._transport.ask(ImageDetails, path, {"attributes": dict(attributes)}, method="PATCH")

    def thumbnail(self, image_id: int, *, collection: str, size: Literal[320, 960] = 320) -> bytes:
        """A small JPEG of an image."""
        path = f"/collections/{segment(collection)}/images/{image_id}/thumbnail"
        return self._transport.send("GET", path, params={"size": size}).content

    def original(self, image_id: int, *, collection: str) -> bytes:
        """The file of an image."""
        return self._transport.send("GET", f"/collections/{segment(collection)}/images/{image_id}/original").content

    def delete(self, image_id: int, *, collection: str) -> None:
        """Take an image out of a collection. Raises ImageNotFound."""
        self._transport.send("DELETE", f"/collections/{segment(collection)}/images/{image_id}")

    def delete_many(self, image_ids: Sequence[int], *, collection: str) -> list[ImageInfo]:
        """Take several images out of a collection, a thousand at a time: of each thousand all or none."""
        path = f"/collections/{segment(collection)}/images/delete"
        removed = []
        for start in range(0, len(image_ids), PAGE):
            removed += self._transport.ask(_Removed, path, {"ids": list(image_ids[start : start + PAGE])}).removed
        return removed

    def save(self, image_id: int, path: Path, *, collection: str) -> None:
        """Write the file of an image to ``path``."""
        path.write_bytes(self.original(image_id, collection=collection))
