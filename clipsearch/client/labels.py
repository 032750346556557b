"""Label sets, tags and reviews on a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from clipsearch.answers import (
    LabelSetInfo,
    LabelSetVersionInfo,
    ReviewEntry,
    ReviewInfo,
    ReviewQueue,
    TagCountsInfo,
    TaggingInfo,
    TaggingReport,
)
from clipsearch.answers.base import Answer
from clipsearch.client.asking import Picture, bytes_of
from clipsearch.client.transport import Transport, segment
from clipsearch.label_set import Label, LabelSet


class _LabelSets(Answer):
    label_sets: list[LabelSetInfo]


class _Versions(Answer):
    versions: list[LabelSetVersionInfo]


class _Taggings(Answer):
    taggings: list[TaggingInfo]


class LabelSets:
    """``client.label_sets``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def all(self) -> list[LabelSetInfo]:
        """Every label set, by name."""
        return self._transport.read(_LabelSets, "/label-sets").label_sets

    def built_in(self) -> list[LabelSetInfo]:
        """Those that come with clipsearch, named builtin:NAME."""
        return self._transport.read(_LabelSets, "/built-in-label-sets").label_sets

    def show(self, name: str, version: int | None = None) -> LabelSetInfo:
        """One label set, as it is or as it was. Raises LabelSetNotFound."""
        return self._transport.read(LabelSetInfo, f"/label-sets/{segment(name)}", version=version)

    def versions(self, name: str) -> list[LabelSetVersionInfo]:
        """Its versions, the newest first."""
        return self._transport.read(_Versions, f"/label-sets/{segment(name)}/versions").versions

    def save(
        self, name: str, labels: LabelSet | Sequence[str | Label], *, replace: bool = True, **options: Any
    ) -> LabelSetInfo:
        """Put a label set under this name: names of labels, or Labels with prompts, or a whole LabelSet.

        ``options`` are the other fields of LabelSet: templates, mode, aggregate, background and thresholds. Raises
        AlreadyExists without ``replace``, InvalidLabelSet, InvalidTemplate.
        """
        if not isinstance(labels, LabelSet):
            each = tuple(one if isinstance(one, Label) else Label(name=one) for one in labels)
            labels = LabelSet(labels=each, **options)
        body = labels.as_tree()
        if replace:
            return self._transport.ask(LabelSetInfo, f"/label-sets/{segment(name)}", body, method="PUT")
        return self._transport.ask(LabelSetInfo, "/label-sets", {"name": name, **body})

    def set_thresholds(
        self, name: str, *, labels: Mapping[str, Mapping[str, float | None]] | None = None, **of_set: float | None
    ) -> LabelSetInfo:
        """Change thresholds of a set (min_score, min_probability, min_margin) or of its labels; None takes one away."""
        body: dict[str, Any] = {**of_set}
        if labels:
            body["labels"] = {label: dict(given) for label, given in labels.items()}
        return self._transport.ask(LabelSetInfo, f"/label-sets/{segment(name)}/thresholds", body, method="PATCH")

    def add_examples(
        self,
        name: str,
        label: str,
        pictures: Sequence[Picture] = (),
        *,
        image_ids: Sequence[int] = (),
        words_weight: float | None = None,
        collection: str | None = None,
    ) -> LabelSetInfo:
        """Let pictures, or images of a collection, stand for a label."""
        path = f"/label-sets/{segment(name)}/labels/{segment(label)}/examples"
        more = {"words_weight": words_weight, "collection": collection}
        more = {key: value for key, value in more.items() if value is not None}
        if image_ids:
            return self._transport.ask(LabelSetInfo, path, {"image_ids": list(image_ids), **more})
        files = [("image", (_name_of(one, place), bytes_of(one))) for place, one in enumerate(pictures, start=1)]
        return self._transport.ask(LabelSetInfo, path, files=files, data={key: str(one) for key, one in more.items()})

    def delete(self, name: str) -> None:
        """Delete a label set. Raises LabelSetNotFound."""
        self._transport.send("DELETE", f"/label-sets/{segment(name)}")


class Tags:
    """``client.tags``: label sets that are applied to a collection."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def all(self, collection: str) -> list[TaggingInfo]:
        """The label sets that are applied."""
        return self._transport.read(_Taggings, f"/collections/{segment(collection)}/tags").taggings

    def apply(self, collection: str, label_set: str, *, top: int = 3, automatic: bool = True) -> TaggingReport:
        """Tag every image that waits for it, up to 100,000 a call."""
        body = {"label_set": label_set, "top": top, "automatic": automatic}
        return self._transport.ask(TaggingReport, f"/collections/{segment(collection)}/tags", body)

    def counts(
        self,
        collection: str,
        label_set: str,
        *,
        min_tag_score: float | None = None,
        min_tag_probability: float | None = None,
    ) -> TagCountsInfo:
        """How many images bear each label."""
        path = f"/collections/{segment(collection)}/tags/{segment(label_set)}"
        floors = {"min_tag_score": min_tag_score, "min_tag_probability": min_tag_probability}
        return self._transport.read(TagCountsInfo, path, **floors)

    def remove(self, collection: str, label_set: str) -> None:
        """Remove the tags of a set, and stop applying it; reviews stay."""
        self._transport.send("DELETE", f"/collections/{segment(collection)}/tags/{segment(label_set)}")


class Review:
    """``client.review``: what people say of tags."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def queue(self, collection: str, label_set: str, *, limit: int = 20, after: int | None = None) -> ReviewQueue:
        """Images that wait for a decision, the least certain first."""
        path = f"/collections/{segment(collection)}/review/{segment(label_set)}"
        return self._transport.read(ReviewQueue, path, limit=limit, after=after)

    def entries(self, collection: str, label_set: str) -> Iterator[ReviewEntry]:
        """All of them, page by page."""
        after = None
        while True:
            page = self.queue(collection, label_set, limit=100, after=after)
            yield from page.entries
            after = page.next
            if after is None:
                return

    def decide(
        self,
        collection: str,
        label_set: str,
        image_id: int,
        decision: Literal["accept", "correct", "skip", "undo"],
        labels: Sequence[str] | None = None,
    ) -> ReviewInfo:
        """Decide on an image; ``labels`` go with correct: what it shows, [] for none of them."""
        path = f"/collections/{segment(collection)}/review/{segment(label_set)}/{image_id}"
        body: dict[str, Any] = {"decision": decision}
        if labels is not None:
            body["labels"] = list(labels)
        return self._transport.ask(ReviewInfo, path, body)


def _name_of(picture: Picture, place: int) -> str:
    return f"image {place}" if isinstance(picture, bytes) else picture.name
