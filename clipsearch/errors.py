"""The errors raised on purpose, as one tree; knows their stable codes and nothing of HTTP or terminals.

::

    ClipSearchError
    ├─ InvalidInput        UnreadableImage, UnsupportedFormat, TooManyPixels, DecoderCrashed, EmptyText,
    │                      TextTooLong, InvalidTemplate, InvalidLabelSet, InvalidVector, InvalidFilter,
    │                      EmptySource, FetchFailed
    ├─ NotFound            CollectionNotFound, ImageNotFound, LabelSetNotFound, ModelNotFound,
    │                      RunNotFound, SourceNotFound, KeyNotFound
    ├─ NotAllowed          a path outside the configured roots; UrlNotAllowed, MissingScope
    ├─ Unauthenticated     InvalidKey
    ├─ RateLimited         with the seconds after which to try again
    ├─ Conflict            AlreadyExists, ModelMismatch, ModelSwitched, AlreadyRunning, LeaseLost
    ├─ TooLarge
    ├─ Busy                with the seconds after which to try again: DeadlineExceeded
    ├─ ModelUnavailable
    ├─ StorageFull
    └─ ConfigError         SchemaMismatch: the process does not start
"""

from __future__ import annotations

from typing import Any, ClassVar


class ClipSearchError(Exception):
    """What went wrong, said to a person: the thing, and the way out.

    ``code`` is stable: programs may test for it. ``details`` are JSON values that a program may use.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidInput(ClipSearchError):
    """The request cannot be answered as it stands."""

    code = "invalid_input"


class UnreadableImage(InvalidInput):
    """The bytes could not be decoded as an image."""

    code = "unreadable_image"


class UnsupportedFormat(UnreadableImage):
    """The bytes are of no image format on the allow list."""

    code = "unsupported_format"


class TooManyPixels(UnreadableImage):
    """The header declares more pixels than the limit allows."""

    code = "too_many_pixels"


class DecoderCrashed(UnreadableImage):
    """The decoder ended its process, or had to be ended with it, when it was given these bytes."""

    code = "decoder_crashed"


class EmptyText(InvalidInput):
    """A query or a label without any text."""

    code = "empty_text"


class TextTooLong(InvalidInput):
    """A text beyond the limit in characters (a text beyond the model's context is cut and said so)."""

    code = "text_too_long"


class InvalidTemplate(InvalidInput):
    """A prompt template without its place ``{}``."""

    code = "invalid_template"


class InvalidLabelSet(InvalidInput):
    """A label set that cannot be used: no labels, one label, an unreadable file."""

    code = "invalid_label_set"


class InvalidVector(InvalidInput):
    """A vector of the wrong dimension, of length zero, or with values that are not finite."""

    code = "invalid_vector"


class InvalidFilter(InvalidInput):
    """A filter that cannot be applied."""

    code = "invalid_filter"


class EmptySource(InvalidInput):
    """A source that held images before and holds none now: taken for an unplugged disk, not for a wish."""

    code = "empty_source"


class FetchFailed(InvalidInput):
    """An image was to be fetched by its URL, and did not come."""

    code = "fetch_failed"


class NotFound(ClipSearchError):
    """The thing asked for is not there."""

    code = "not_found"


class CollectionNotFound(NotFound):
    """No collection of this name."""

    code = "collection_not_found"


class ImageNotFound(NotFound):
    """No image of this id or uri in the collection."""

    code = "image_not_found"


class LabelSetNotFound(NotFound):
    """No label set of this name."""

    code = "label_set_not_found"


class ModelNotFound(NotFound):
    """No model of this name or at this path."""

    code = "model_not_found"


class RunNotFound(NotFound):
    """No indexing run of this id."""

    code = "run_not_found"


class KeyNotFound(NotFound):
    """No API key of this prefix."""

    code = "key_not_found"


class SourceNotFound(NotFound):
    """The folder or file to index is not there."""

    code = "source_not_found"


class NotAllowed(ClipSearchError):
    """The request names something that it may not reach."""

    code = "not_allowed"


class UrlNotAllowed(NotAllowed):
    """A URL that leads elsewhere than to a public address by HTTP."""

    code = "url_not_allowed"


class MissingScope(NotAllowed):
    """The key is good, and does not allow this."""

    code = "missing_scope"


class Unauthenticated(ClipSearchError):
    """Nobody who is known asks."""

    code = "key_required"


class InvalidKey(Unauthenticated):
    """A key was sent, and it is not one that holds: unknown, expired or revoked."""

    code = "invalid_key"


class RateLimited(ClipSearchError):
    """More requests than are allowed; ``retry_after`` is in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after: float = 1.0, **details: Any) -> None:
        super().__init__(message, retry_after=retry_after, **details)
        self.retry_after = retry_after


class Conflict(ClipSearchError):
    """The request does not fit the state of things."""

    code = "conflict"


class AlreadyExists(Conflict):
    """The name is taken."""

    code = "already_exists"


class ModelMismatch(Conflict):
    """Embeddings of different models, or of different weights of one name, do not compare."""

    code = "model_mismatch"


class ModelSwitched(Conflict):
    """The collection was switched to another model between two looks at it; ask again."""

    code = "model_switched"


class AlreadyRunning(Conflict):
    """Another process is indexing this collection."""

    code = "already_running"


class LeaseLost(Conflict):
    """This process held the indexing lease and lost it: it was taken over after its expiry."""

    code = "lease_lost"


class TooLarge(ClipSearchError):
    """More bytes, results or labels than the limits allow."""

    code = "too_large"


class Busy(ClipSearchError):
    """The work cannot be done now; ``retry_after`` is in seconds."""

    code = "busy"

    def __init__(self, message: str, retry_after: float = 1.0, **details: Any) -> None:
        super().__init__(message, retry_after=retry_after, **details)
        self.retry_after = retry_after


class DeadlineExceeded(Busy):
    """The request was given a time, and it is up: what was left of the work was not begun."""

    code = "deadline_exceeded"


class ModelUnavailable(ClipSearchError):
    """The weights of a model cannot be had on this machine."""

    code = "model_unavailable"


class StorageFull(ClipSearchError):
    """The disk or the database is full: nothing of the batch was written."""

    code = "storage_full"


class ConfigError(ClipSearchError):
    """The settings or the installation are wrong: the process does not start."""

    code = "config_error"


class SchemaMismatch(ConfigError):
    """The database's schema is older or newer than this version of the software."""

    code = "schema_mismatch"


def in_words(error: BaseException) -> str:
    """What is told of an error: its own words where it is raised on purpose, else its type as well."""
    return error.message if isinstance(error, ClipSearchError) else f"{type(error).__name__}: {error}"
