"""Have people look at tags: the least certain first, with accept, correct and skip; knows what becomes an example."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.answers import ImageInfo, ReviewChoice, ReviewEntry, ReviewFigures, ReviewInfo, ReviewQueue
from clipsearch.database import Connection
from clipsearch.database import reviews as review_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.images import ImageRow, get_image, image_rows
from clipsearch.database.label_sets import LabelSetRow, get_label_set
from clipsearch.database.reviews import ReviewRow
from clipsearch.database.taggings import TaggingState, standing_tagging
from clipsearch.database.tags import KeptTag, kept_tags
from clipsearch.errors import InvalidInput, NotFound
from clipsearch.library import Library

LIMIT = 20


def queue(
    library: Library, label_set: str, *, collection: str | None = None, limit: int = LIMIT, after: int | None = None
) -> ReviewQueue:
    """Up to ``limit`` images that nobody decided on, the least certain first; ``after`` is the last image of the page
    before.

    Raises CollectionNotFound, LabelSetNotFound, Conflict where the tags do not stand.
    """
    row = library.collection(collection)
    with library.database.read() as connection:
        state = standing_tagging(connection, row.id, label_set)
        found = review_rows.uncertain_images(connection, state, after=after, limit=limit + 1)
        numbers = [number for number, _ in found[:limit]]
        images, kept = image_rows(connection, numbers), kept_tags(connection, state, numbers)
        return ReviewQueue(
            collection=row.name,
            label_set=state.label_set,
            label_set_version=state.version,
            mode=state.mode,
            figures=_figures(connection, row, state),
            entries=[_entry(images[number], distance, kept[number]) for number, distance in found[:limit]],
            next=numbers[-1] if len(found) > limit else None,
        )


def _entry(image: ImageRow, distance: float, kept: Sequence[KeptTag]) -> ReviewEntry:
    return ReviewEntry(
        image=image.info(),
        distance=distance,
        labels=_accepted(kept),
        choices=[
            ReviewChoice(
                label=one.label,
                category=one.category,
                score=one.score,
                probability=one.probability,
                accepted=one.accepted,
            )
            for one in kept
        ],
    )


def _accepted(kept: Sequence[KeptTag]) -> list[str]:
    return list(dict.fromkeys(one.label for one in kept if one.accepted and one.label is not None))


def figures(library: Library, label_set: str, *, collection: str | None = None) -> ReviewFigures:
    """How far the review of a set's tags has come; raises as ``queue``."""
    row = library.collection(collection)
    with library.database.read() as connection:
        return _figures(connection, row, standing_tagging(connection, row.id, label_set))


def _figures(connection: Connection, row: CollectionRow, state: TaggingState) -> ReviewFigures:
    counts = review_rows.count_reviews(connection, row.id, state.tagging.label_set_id)
    accepted, corrected = counts.get("accepted", 0), counts.get("corrected", 0)
    decided = accepted + corrected
    return ReviewFigures(
        reviewed=sum(counts.values()),
        accepted=accepted,
        corrected=corrected,
        skipped=counts.get("skipped", 0),
        share_accepted=accepted / decided if decided else None,
        waiting=review_rows.count_uncertain(connection, state),
    )


def accept(library: Library, label_set: str, image: int, *, collection: str | None = None) -> ReviewInfo:
    """What the model says of the image is right: these labels, or that it is none of them.

    Raises CollectionNotFound, LabelSetNotFound, ImageNotFound, NotFound for an image without tags, Conflict.
    """
    row = library.collection(collection)
    with library.database.write() as connection:
        found = get_image(connection, row.id, number=image)
        state = standing_tagging(connection, row.id, label_set)
        kept = kept_tags(connection, state, [image]).get(image)
        if kept is None:
            raise NotFound(
                f"image {image} bears no tags of {label_set!r} yet; correct it, or run: clipsearch tags apply"
            )
        saved = review_rows.save_review(
            connection, state.tagging.label_set_id, state.version, found, "accepted", _accepted(kept)
        )
    return _info(label_set, saved)


def correct(
    library: Library, label_set: str, image: int, labels: Sequence[str], *, collection: str | None = None
) -> ReviewInfo:
    """The image bears these labels, whatever the model says; without any, none of the set.

    Raises CollectionNotFound, LabelSetNotFound, ImageNotFound, InvalidInput for labels that the set has not.
    """
    row = library.collection(collection)
    with library.database.write() as connection:
        known = get_label_set(connection, label_set)
        _check_labels(known, labels)
        found = get_image(connection, row.id, number=image)
        saved = review_rows.save_review(connection, known.id, known.version, found, "corrected", labels)
    return _info(known.name, saved)


def _check_labels(label_set: LabelSetRow, labels: Sequence[str]) -> None:
    names = {label.name for label in label_set.labels}
    for label in labels:
        if label not in names:
            raise InvalidInput(f"the label set {label_set.name!r} has no label {label!r}; to see them: "
                               f"clipsearch labels show {label_set.name}")  # fmt: skip
    if label_set.mode == "single" and len(set(labels)) > 1:
        raise InvalidInput(
            f"of the label set {label_set.name!r}, which is of the mode single, an image bears one label"
        )


def skip(library: Library, label_set: str, image: int, *, collection: str | None = None) -> ReviewInfo:
    """Do not ask for this image again; its tags are what the model says. Raises as ``correct``."""
    row = library.collection(collection)
    with library.database.write() as connection:
        known = get_label_set(connection, label_set)
        found = get_image(connection, row.id, number=image)
        saved = review_rows.save_review(connection, known.id, known.version, found, "skipped", ())
    return _info(known.name, saved)


def undo(library: Library, label_set: str, image: int, *, collection: str | None = None) -> ReviewInfo:
    """Take back what was decided of an image; says what that was. Raises as ``correct``, and NotFound."""
    row = library.collection(collection)
    with library.database.write() as connection:
        known = get_label_set(connection, label_set)
        get_image(connection, row.id, number=image)
        found = review_rows.find_review(connection, known.id, image)
        if found is None:
            raise NotFound(f"nothing was decided of image {image} under the label set {label_set!r}")
        review_rows.remove_review(connection, known.id, image)
    return _info(known.name, found)


def list_reviews(library: Library, label_set: str, *, collection: str | None = None) -> list[ReviewInfo]:
    """Every decision on images that are there, with the content they had. Raises as ``correct``."""
    row = library.collection(collection)
    with library.database.read() as connection:
        known = get_label_set(connection, label_set)
        return [_info(known.name, one) for one in review_rows.list_reviews(connection, row.id, known.id)]


def examples_from_reviews(
    library: Library, label_set: str, *, collection: str | None = None
) -> list[tuple[str, ImageInfo]]:
    """Labels with the images that people gave them where the model had said otherwise, in the order of the set.

    Raises as ``correct``.
    """
    row = library.collection(collection)
    with library.database.read() as connection:
        known = get_label_set(connection, label_set)
        corrected = [
            one for one in review_rows.list_reviews(connection, row.id, known.id) if one.verdict == "corrected"
        ]
        images = image_rows(connection, [one.image_id for one in corrected])
    of_label: dict[str, list[ImageInfo]] = {label.name: [] for label in known.labels}
    for one in corrected:
        for label in one.labels:
            if label in of_label and one.image_id in images:
                of_label[label].append(images[one.image_id].info())
    return [(label, image) for label, several in of_label.items() for image in several]


def _info(label_set: str, row: ReviewRow) -> ReviewInfo:
    return ReviewInfo.model_validate(
        {
            "image_id": row.image_id,
            "label_set": label_set,
            "label_set_version": row.label_set_version,
            "verdict": row.verdict,
            "labels": list(row.labels),
            "decided_at": row.decided_at,
        }
    )
