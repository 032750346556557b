"""Pictures that come with a request, as a form, in base64 or by address; one that does not come costs itself only."""

from __future__ import annotations

from collections.abc import Iterator

from clipsearch.adding import NewPicture
from clipsearch.answers import FailedFile
from clipsearch.errors import ClipSearchError
from clipsearch.fetching import Fetched
from clipsearch.web.classify_messages import SetsBody, SetsForm
from clipsearch.web.fetched import fetched_or_not
from clipsearch.web.image_messages import ImageBody, ImagesBody, ImagesForm
from clipsearch.web.messages import ClassifyBody, ClassifyForm, Upload
from clipsearch.web.upload_limit import check_size


def pictures_of(asked: ImagesForm | ImagesBody) -> list[NewPicture]:
    """The pictures in the order in which they came; one whose address gave none bears the error.

    Raises TooLarge for bytes beyond the limit, NotAllowed where the server may not fetch.
    """
    if isinstance(asked, ImagesForm):
        return [NewPicture(one.name, one.data, asked.attributes) for one in asked.image]
    came = iter(fetched_or_not(list(asked.urls())))
    check_size(one.data for one in asked.images if one.data is not None)
    return [_picture(place, one, came) for place, one in enumerate(asked.images, start=1)]


def sent_pictures(asked: ClassifyForm | ClassifyBody | SetsForm | SetsBody) -> tuple[list[Upload], list[FailedFile]]:
    """The images to look at, and those whose address gave none. Raises as ``pictures_of``."""
    if isinstance(asked, ClassifyForm | SetsForm):
        return list(asked.image), []
    check_size(asked.images)
    uploads = [Upload(f"image {place}", one) for place, one in enumerate(asked.images, start=1)]
    failed = []
    for place, one in enumerate(fetched_or_not(asked.image_urls), start=len(uploads) + 1):
        if isinstance(one, Fetched):
            uploads.append(Upload(f"image {place}", one.data))
        else:
            failed.append(FailedFile(uri=f"image {place}", code=one.code, reason=one.message))
    return uploads, failed


def _picture(place: int, asked: ImageBody, came: Iterator[Fetched | ClipSearchError]) -> NewPicture:
    name = asked.name or f"image {place}"
    if asked.data is not None:
        return NewPicture(name, asked.data, asked.attributes)
    fetched = next(came)
    if isinstance(fetched, ClipSearchError):
        return NewPicture(name, attributes=asked.attributes, error=fetched)
    return NewPicture(asked.name or fetched.name, fetched.data, asked.attributes)
