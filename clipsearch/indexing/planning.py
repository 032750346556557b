"""Compares what lies in a source with what the collection knows of it; decides what must be read and what is gone."""

from __future__ import annotations

import errno
import os
import urllib.parse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipsearch.answers import FailedFile
from clipsearch.database.failures import FailureRow, NewFailure
from clipsearch.database.images import KnownFile
from clipsearch.errors import EmptySource, InvalidInput, SourceNotFound
from clipsearch.images import FoundFile, absolute, find_images, path_of, uri_of

# Failures that only another content or another installation can mend; the rest is tried again in every run.
CONTENT_FAILURES = frozenset({"unreadable_image", "unsupported_format", "too_many_pixels", "decoder_crashed"})


@dataclass(frozen=True)
class Scan:
    """What lies in a source: files in stable order, and the folders that could not be looked into."""

    source: Path
    files: Sequence[FoundFile]
    unseen: Mapping[str, str]


@dataclass
class Plan:
    """What a run has to do."""

    to_read: list[FoundFile] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    still_failed: list[FailedFile] = field(default_factory=list)
    vanished: dict[str, KnownFile] = field(default_factory=dict)
    failed_before: frozenset[str] = frozenset()
    outdated_failures: list[str] = field(default_factory=list)


def check_source(source: Path, *, allow_empty: bool) -> None:
    """Raises SourceNotFound for a source that is not there, unless ``allow_empty`` takes it at its word."""
    if not allow_empty:
        find_images(source)


def scan_source(source: Path, *, allow_empty: bool) -> Scan:
    """Look through a folder, or at a single file. Raises SourceNotFound unless ``allow_empty`` is given."""
    unseen: dict[str, str] = {}
    try:
        files = list(find_images(source, on_error=unseen.__setitem__))
    except SourceNotFound:
        if not allow_empty:
            raise
        files = []
    return Scan(source, files, unseen)


def uri_prefixes(source: Path) -> tuple[str, ...]:
    """What the uris under a source begin with; also those of names that are not Unicode."""
    uri = uri_of(source)
    as_file = "file://" + urllib.parse.quote_from_bytes(os.fsencode(absolute(source)))
    return tuple(dict.fromkeys((uri, uri.rstrip("/") + "/", as_file, as_file.rstrip("/") + "/")))


def make_plan(
    scan: Scan,
    known: Mapping[str, KnownFile],
    failures: Mapping[str, FailureRow],
    *,
    retry_failed: bool,
    allow_empty: bool,
) -> Plan:
    """Sort every file into what stands and what must be read.

    Raises EmptySource when a source that held images holds none now, unless ``allow_empty`` is given: an unplugged
    disk leaves an empty folder behind, and a collection must not vanish with it.
    """
    plan = Plan(failed_before=frozenset(failures))
    for file in scan.files:
        before = known.get(file.uri)
        failure = failures.get(file.uri)
        if failure is not None and not retry_failed and _stands(failure, file):
            plan.still_failed.append(FailedFile(uri=file.uri, code=failure.code, reason=failure.reason))
        elif before is None or before.gone or not before.embedded or not _same(file, before.size, before.mtime_ns):
            plan.to_read.append(file)
        else:
            plan.unchanged.append(file.uri)
            if failure is not None:  # of another content, which is not there any more
                plan.outdated_failures.append(file.uri)
    found = {file.uri for file in scan.files}
    hidden = tuple(prefix for folder in scan.unseen for prefix in uri_prefixes(Path(folder)))
    plan.vanished = {
        uri: file
        for uri, file in known.items()
        if not file.gone and uri not in found and not _lies_under(uri, hidden) and _is_gone(file)
    }
    here = uri_prefixes(scan.source)
    plan.outdated_failures += [
        uri for uri in failures if uri not in found and _lies_under(uri, here) and not _lies_under(uri, hidden)
    ]
    if plan.vanished and not scan.files and not allow_empty:
        raise EmptySource(
            f"{scan.source} held {len(plan.vanished)} images and holds none now; if they are really gone, say so "
            "with --allow-empty, otherwise see whether the disk is there",
            images=len(plan.vanished),
        )
    return plan


def by_hash(files: Iterable[KnownFile]) -> defaultdict[str, list[KnownFile]]:
    """Files whose embedding can be taken over, by content; take the last of a list first."""
    found: defaultdict[str, list[KnownFile]] = defaultdict(list)
    for file in files:
        if file.content_hash is not None and file.embedded:
            found[file.content_hash].append(file)
    return found


def unseen_failures(scan: Scan) -> list[NewFailure]:
    """The folders and files of a source that could not be looked at, as failures."""
    return [
        NewFailure(uri_of(path), "unreadable_folder" if os.path.isdir(path) else "unreadable_file", reason)
        for path, reason in scan.unseen.items()
    ]


def _is_gone(known: KnownFile) -> bool:
    """Whether the file is really not there: a walk passes by what was indexed under its own name (a hidden folder,
    a link, a file of an unusual suffix), and imported embeddings never had a file."""
    if known.content_hash is None:
        return False
    try:
        os.lstat(path_of(known.uri))
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR}
    except (InvalidInput, ValueError):
        return False
    return False


def _stands(failure: FailureRow, file: FoundFile) -> bool:
    """Whether a file that failed would fail again: its bytes are the same, and it was they that failed."""
    return failure.code in CONTENT_FAILURES and _same(file, failure.size, failure.mtime_ns)


def _same(file: FoundFile, size: int | None, mtime_ns: int | None) -> bool:
    return (file.size, file.mtime_ns) == (size, mtime_ns)


def _lies_under(uri: str, prefixes: tuple[str, ...]) -> bool:
    return any(uri == prefix or (prefix.endswith("/") and uri.startswith(prefix)) for prefix in prefixes)
