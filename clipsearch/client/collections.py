"""Collections on a server: list, make, show, rename, delete, what failed, and their models."""

from __future__ import annotations

from collections.abc import Iterator

from clipsearch.answers import CollectionInfo, FailureInfo, RunInfo
from clipsearch.answers.base import Answer
from clipsearch.answers.models import CollectionModels, MissingImage, MissingImages, ModelSwitch
from clipsearch.answers.statistics import CollectionStatistics
from clipsearch.client.transport import Transport, segment

PAGE = 1_000


class _Collections(Answer):
    collections: list[CollectionInfo]


class _Failures(Answer):
    failures: list[FailureInfo]
    total: int


class _KnownModel(Answer):
    name: str


class _KnownModels(Answer):
    models: list[_KnownModel]


class Collections:
    """``client.collections``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def all(self) -> list[CollectionInfo]:
        """Every collection, by name."""
        return self._transport.read(_Collections, "/collections").collections

    def create(self, name: str, model: str | None = None) -> CollectionInfo:
        """Make a collection. Raises AlreadyExists; NotAllowed for a model that the server does not know."""
        return self._transport.ask(CollectionInfo, "/collections", {"name": name, "model": model})

    def show(self, name: str) -> CollectionInfo:
        """One collection, with its index. Raises CollectionNotFound."""
        return self._transport.read(CollectionInfo, f"/collections/{segment(name)}")

    def rename(self, name: str, new_name: str) -> CollectionInfo:
        """Give a collection another name. Raises CollectionNotFound, AlreadyExists."""
        path = f"/collections/{segment(name)}"
        return self._transport.ask(CollectionInfo, path, {"name": new_name}, method="PATCH")

    def delete(self, name: str) -> None:
        """Delete a collection with all that belongs to it. Raises CollectionNotFound."""
        self._transport.send("DELETE", f"/collections/{segment(name)}")

    def statistics(self, name: str) -> CollectionStatistics:
        """What a collection holds, in numbers: formats, years, folders, sizes, tags, uploads."""
        return self._transport.read(CollectionStatistics, f"/collections/{segment(name)}/statistics")

    def failures(self, name: str) -> list[FailureInfo]:
        """Every file that could not be indexed, and why."""
        found: list[FailureInfo] = []
        while True:
            path = f"/collections/{segment(name)}/failures"
            page = self._transport.read(_Failures, path, offset=len(found), limit=PAGE)
            found += page.failures
            if not page.failures or len(found) >= page.total:
                return found


class Models:
    """``client.models``: the models of a collection, side by side."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def known(self) -> list[str]:
        """The names of the models that the server may be asked for."""
        return [one.name for one in self._transport.read(_KnownModels, "/models").models]

    def of(self, collection: str) -> CollectionModels:
        """The models of a collection, the one that answers first."""
        return self._transport.read(CollectionModels, f"/collections/{segment(collection)}/models")

    def add(self, collection: str, model: str) -> RunInfo:
        """Have a collection embedded by a further model, in the background; see ``client.jobs.watch``."""
        return self._transport.ask(RunInfo, f"/collections/{segment(collection)}/models", {"model": model})

    def missing(self, collection: str, model: str) -> Iterator[MissingImage]:
        """The images that lack an embedding by one of its models, page by page."""
        path, after = f"/collections/{segment(collection)}/models/missing", 0
        while page := self._transport.read(MissingImages, path, model=model, after=after, limit=PAGE).images:
            yield from page
            after = page[-1].id

    def switch(self, collection: str, model: str, *, allow_missing: bool = False) -> ModelSwitch:
        """Have another of its models answer from now on.

        Raises Conflict while images lack an embedding by it, unless ``allow_missing``: they leave the searches.
        """
        path = f"/collections/{segment(collection)}/model"
        return self._transport.ask(ModelSwitch, path, {"model": model, "allow_missing": allow_missing}, method="PUT")

    def remove(self, collection: str, model: str) -> None:
        """Remove a further model with its embeddings."""
        self._transport.send("DELETE", f"/collections/{segment(collection)}/models", params={"model": model})
