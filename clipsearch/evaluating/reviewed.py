"""Tags that people reviewed as the truth of an evaluation."""

from __future__ import annotations

from clipsearch.answers import FailedFile
from clipsearch.database.images import image_rows
from clipsearch.database.label_sets import get_label_set
from clipsearch.database.reviews import list_reviews
from clipsearch.errors import InvalidInput
from clipsearch.evaluating.samples import Material, Sample
from clipsearch.library import Library


def read_reviews(library: Library, label_set: str, *, collection: str | None = None) -> Material:
    """The images of the collection that were accepted or corrected under this label set, with the labels decided on.

    What was skipped stands in ``failed``. A review of an image whose file has changed since does not count. Raises
    LabelSetNotFound, CollectionNotFound, InvalidInput when nothing was reviewed.
    """
    row = library.collection(collection)
    with library.database.read() as connection:
        reviews = list_reviews(connection, row.id, get_label_set(connection, label_set).id)
        images = image_rows(connection, [review.image_id for review in reviews])
    samples: list[Sample] = []
    failed: list[FailedFile] = []
    for review in reviews:
        image = images.get(review.image_id)
        if image is None:  # removed between the two readings
            continue
        if review.verdict == "skipped":
            failed.append(FailedFile(uri=image.uri, code="skipped", reason="it was skipped when it was reviewed"))
        else:
            samples.append(Sample(image.uri, review.labels, image_id=image.id))
    if not samples:
        raise InvalidInput(
            f"no tag of {label_set!r} was reviewed in the collection {row.name!r}; "
            f"look at some first: clipsearch review {label_set}"
        )
    return Material(f"reviews of {label_set}", "reviews", samples, failed)
