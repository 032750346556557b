"""The small file beside a snapshot that says what it is; knows its exact shape and believes no other."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from clipsearch.vector_index.protocol import Trial

FORMAT = 2
NAME = "manifest.json"
LARGEST = 65_536  # bytes; a manifest has a few hundred

_TOKEN = re.compile(r"[0-9a-f]{1,128}")
_FILE = re.compile(r"index-(\d{1,19})-([0-9a-f]{1,128})-[0-9a-f]{8}\.vectors")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class NotBelieved(Exception):
    """A snapshot that must not be used; the message says why. Never leaves this room."""


class Outdated(NotBelieved):
    """A whole snapshot of an older release, which wrote another format."""


@dataclass(frozen=True)
class Stand:
    """What a snapshot holds: which collection under which model, and the revision it stands at.

    ``collection`` and ``model`` identify them (an id, a name); ``revision`` ≥ 0 is the collection's
    counter and ``token`` the random lower-case hex string that the database gave to that revision. Whether
    the database still knows this pair is for the reader to ask: one restored from a backup does not.
    """

    collection: str
    model: str
    dimension: int
    revision: int
    token: str

    def __post_init__(self) -> None:
        """Raise ValueError where a value is of another type or outside its range."""
        texts = type(self.collection) is str and type(self.model) is str and type(self.token) is str
        numbers = type(self.dimension) is int and type(self.revision) is int
        if not (texts and numbers):
            raise ValueError("a stand is three texts and two whole numbers")
        if not 0 < self.dimension <= 65_536 or not 0 <= self.revision < 2**63:
            raise ValueError(f"no dimension or no revision: {self.dimension}, {self.revision}")
        if not _TOKEN.fullmatch(self.token):
            raise ValueError("a token is 1 to 128 lower-case hex digits")


@dataclass(frozen=True)
class Manifest:
    """One snapshot: its file, how that can be recognised, and where it stands."""

    file: str
    size: int  # bytes
    sha256: str
    kind: str
    count: int
    faiss: str  # version that made the codes of the cells
    stand: Stand
    trial: Trial | None = None  # how the cells were measured, those that did not come into service too
    format: int = FORMAT


def file_name(stand: Stand, nonce: str) -> str:
    """The name of a snapshot's file. ``nonce``, eight hex digits, keeps two saves of one stand apart."""
    return f"index-{stand.revision}-{stand.token}-{nonce}.vectors"


def to_bytes(manifest: Manifest) -> bytes:
    """The one way to write ``manifest``, with a checksum: a flipped digit in a revision is seen."""
    return _sealed(asdict(manifest))


def from_bytes(raw: bytes) -> Manifest:
    """The manifest written as ``raw``. Raises NotBelieved if a single byte is not as `to_bytes` writes it."""
    try:
        values = json.loads(raw)
        del values["check"]
        whole = _sealed(values) == raw
        format_ = values["format"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotBelieved("the manifest is damaged") from error
    if not whole:
        raise NotBelieved("the manifest is damaged")
    # Before the entries are looked at: another format has others.
    if type(format_) is not int or format_ != FORMAT:
        older = type(format_) is int and 0 < format_ < FORMAT
        raise (Outdated if older else NotBelieved)(f"the format is {format_}, not {FORMAT}")
    try:
        stand = Stand(**values.pop("stand"))
        measured = values.pop("trial")
        manifest = Manifest(stand=stand, trial=None if measured is None else Trial(**measured), **values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotBelieved("the manifest holds entries that no snapshot has") from error
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    """Raise NotBelieved where a value is not of its type or range: a right checksum is not yet sense."""
    texts = (manifest.file, manifest.sha256, manifest.kind, manifest.faiss)
    name = _FILE.fullmatch(manifest.file) if type(manifest.file) is str else None
    sound = (
        all(type(text) is str for text in texts)
        and type(manifest.size) is int
        and type(manifest.count) is int
        and manifest.size > 0
        and manifest.count >= 0
        and _DIGEST.fullmatch(manifest.sha256) is not None
        and name is not None
        and name.groups() == (str(manifest.stand.revision), manifest.stand.token)
        and (manifest.trial is None or _possible(manifest.trial))
    )
    if not sound:
        raise NotBelieved("the manifest holds values that no snapshot has")


def _possible(trial: Trial) -> bool:
    whole = (trial.rows, trial.cells, trial.probes, trial.filtered_probes, trial.width)
    return (
        all(type(number) is int and number > 0 for number in whole)
        and max(trial.probes, trial.filtered_probes) <= trial.cells
        and all(type(number) is int and number >= 0 for number in (trial.image_queries, trial.text_queries))
        and all(type(share) is float and 0 <= share <= 1 for share in (trial.recall_image, trial.recall_text))
        and type(trial.text_source) is str
        and type(trial.floor) is float
    )


def _sealed(body: dict[str, Any]) -> bytes:
    return _canonical({**body, "check": hashlib.sha256(_canonical(body)).hexdigest()})


def _canonical(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=1)
    return text.encode("ascii") + b"\n"
