"""Say how the library is: collections, status, and the doctor, who compares files, rows and indexes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clipsearch import __version__
from clipsearch.answers import (
    CollectionInfo,
    DoctorReport,
    Finding,
    IndexInfo,
    LeaseInfo,
    ModelInfo,
    StatusReport,
)
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import label_sets as label_rows
from clipsearch.database import leases as lease_rows
from clipsearch.database import models as model_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.checking import check_file, damaged_embeddings, images_without_embedding
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.filtering import list_images
from clipsearch.database.migrating import current_revision
from clipsearch.errors import InvalidInput, UnreadableImage
from clipsearch.images import content_hash, path_of, read_file
from clipsearch.library import Library
from clipsearch.queries import Filters

SAMPLE = 200
NAMED = 20
# SQLite's own account: https://sqlite.org/wal.html#walresetbug
_WAL_BUG_ENDS = (3, 51, 3)


def show_collection(library: Library, name: str | None = None, *, with_index: bool = True) -> CollectionInfo:
    """One collection, with its index unless that is not wanted. Raises CollectionNotFound."""
    return _collection_info(library, library.collection(name), with_index=with_index)


def list_collections(library: Library) -> list[CollectionInfo]:
    """All of them, by name, without their indexes."""
    with library.database.read() as connection:
        rows = collection_rows.list_collections(connection)
    return [_collection_info(library, row, with_index=False) for row in rows]


def status(library: Library) -> StatusReport:
    """The library at a glance."""
    with library.database.read() as connection:
        models = model_rows.list_models(connection)
        label_sets = len(label_rows.list_label_sets(connection))
    return StatusReport(
        version=__version__,
        data_dir=str(library.settings.data_dir),
        database=library.database.safe_url,
        schema_revision=current_revision(library.database) or "",
        collections=list_collections(library),
        label_sets=label_sets,
        models=[
            ModelInfo(
                name=row.model.name,
                dimension=row.model.dimension,
                logit_scale=row.model.logit_scale,
                logit_bias=row.model.logit_bias,
                scoring=row.model.scoring,
                fingerprint=row.model.fingerprint,
                embeddings=count,
            )
            for row, count in models
        ],
    )


def examine(library: Library, *, repair: bool = False) -> DoctorReport:
    """Look for what is wrong. Nothing is changed unless ``repair`` asks for it, and then only what comes back:
    indexes are rebuilt, and images whose file or embedding is lost are marked gone, to be indexed again.
    """
    findings = list(_database_findings(library))
    checked = {"collections": 0, "images": 0, "files_hashed": 0}
    with library.database.read() as connection:
        rows = collection_rows.list_collections(connection)
    for row in rows:
        checked["collections"] += 1
        findings += _file_findings(library, row, checked, repair=repair)
        damaged = list(_embedding_findings(library, row, repair=repair))
        findings += damaged
        if all(one.repaired or one.code != "damaged_embeddings" for one in damaged):
            findings += _index_findings(library, row, repair=repair)  # damaged rows could not be read for it
    healthy = all(one.severity == "info" or one.repaired for one in findings)
    return DoctorReport(healthy=healthy, checked=checked, findings=findings)


def _collection_info(library: Library, row: CollectionRow, *, with_index: bool) -> CollectionInfo:
    with library.database.read() as connection:
        images = collection_rows.count_images(connection, row.id)
        failures = run_rows.count_failures(connection, row.id)
        lease = lease_rows.find_lease(connection, row.id)
        model = model_rows.find_model(connection, row.model_name)
    view = library.index(row) if with_index else None
    return CollectionInfo(
        name=row.name,
        model=row.model_name,
        dimension=model.model.dimension if model else None,
        images=images,
        failures=failures,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        index=IndexInfo(
            kind=view.index.kind,
            images=len(view.index),
            revision=view.revision,
            memory_bytes=view.index.memory_bytes,
        )
        if view
        else None,
        lease=LeaseInfo(
            holder=lease.holder,
            purpose=lease.purpose,
            acquired_at=lease.acquired_at,
            expires_at=lease.expires_at,
        )
        if lease
        else None,
    )


def _database_findings(library: Library) -> Iterator[Finding]:
    for fault in check_file(library.database):
        yield Finding(code="database_damaged", severity="error",
                      message=f"the database is damaged: {fault}; restore a backup (clipsearch restore)")  # fmt: skip
    if library.database.is_sqlite and sqlite3.sqlite_version_info < _WAL_BUG_ENDS:
        yield Finding(
            code="sqlite_version",
            severity="info",
            message=f"SQLite {sqlite3.sqlite_version} is older than 3.51.3, in which a rare fault of its "
            "write-ahead log was mended; clipsearch lets only the writer touch that log, which avoids it",
        )


def _file_findings(library: Library, row: CollectionRow, checked: dict[str, int], *, repair: bool) -> Iterator[Finding]:
    missing: list[image_rows.ImageRow] = []
    present: list[image_rows.ImageRow] = []
    for image in _every_image(library, row):
        checked["images"] += 1
        path = _path(image.uri)
        if path is None:
            continue
        (present if path.is_file() else missing).append(image)
    if missing:
        if repair:
            _mark_gone(library, row, [one.id for one in missing])
        yield _finding("missing_files", "warning", f"{len(missing)} files of {row.name!r} are not there any more",
                       [one.uri for one in missing], repaired=repair)  # fmt: skip
    sample = random.Random(0).sample(present, min(SAMPLE, len(present)))  # noqa: S311  (no secret hangs on it)
    differing = []
    for image in sample:
        checked["files_hashed"] += 1
        if _differs(image):
            differing.append(image.uri)
    if differing:
        yield _finding("changed_files", "warning",
                       f"{len(differing)} of {len(sample)} sampled files of {row.name!r} differ from what was indexed; "
                       "index their folder again", differing)  # fmt: skip


def _differs(image: image_rows.ImageRow) -> bool:
    path = _path(image.uri)
    if path is None or image.content_hash is None:
        return False
    try:
        return content_hash(read_file(path)) != image.content_hash
    except UnreadableImage:
        return True


def _embedding_findings(library: Library, row: CollectionRow, *, repair: bool) -> Iterator[Finding]:
    with library.database.read() as connection:
        model = model_rows.find_model(connection, row.model_name)
        lacking = images_without_embedding(connection, row.id, model.id if model else None)
        damaged = damaged_embeddings(connection, row.id, model.id, model.model.dimension) if model else []
    for code, what, images in (
        ("images_without_embedding", "have no embedding", lacking),
        ("damaged_embeddings", "have a damaged embedding", damaged),
    ):
        if images:
            if repair:
                _mark_gone(library, row, [number for number, _ in images], forget=True)
            yield _finding(code, "error", f"{len(images)} images of {row.name!r} {what}; index them again",
                           [uri for _, uri in images], repaired=repair)  # fmt: skip


def _index_findings(library: Library, row: CollectionRow, *, repair: bool) -> Iterator[Finding]:
    """Compare the index, as the next search would use it, with the rows: ids, then a sample of vectors."""
    view = library.index(row)
    if view is None:
        return
    with library.database.read() as connection:
        there = image_rows.present_ids(connection, row.id)
        lacking = {number for number, _ in images_without_embedding(connection, row.id, view.model.id)}
        there = np.array([number for number in there.tolist() if number not in lacking], dtype=np.int64)
        sample = there[:: max(1, len(there) // SAMPLE)]
        kept = vectors_of(connection, view.model.id, view.model.model.dimension, sample.tolist())
    apart = np.setxor1d(there, view.index.ids())
    wrong = [] if apart.size else [
        number for number, vector in kept.items()
        if float(view.index.vectors(np.array([number], dtype=np.int64))[0] @ vector) < 0.999
    ]  # fmt: skip
    if apart.size or wrong:
        if repair:
            library.rebuild_index(row)
        yield _finding("index_differs", "error",
                       f"the index of {row.name!r} differs from the database in {apart.size or len(wrong)} images",
                       [str(number) for number in (apart.tolist() or wrong)], repaired=repair)  # fmt: skip


def _every_image(library: Library, row: CollectionRow) -> Iterator[image_rows.ImageRow]:
    after = 0
    while True:
        with library.database.read() as connection:
            page = list_images(connection, row.id, Filters(), after=after, limit=5_000)
        if not page:
            return
        yield from page
        after = page[-1].id


def _mark_gone(library: Library, row: CollectionRow, ids: list[int], *, forget: bool = False) -> None:
    with library.lease(row, "repairing"), library.database.write() as connection:
        revision = collection_rows.advance(connection, row.id)
        image_rows.mark_gone(connection, revision, ids, forget=forget)


def _path(uri: str) -> Path | None:
    try:
        return Path(path_of(uri))
    except InvalidInput:
        return None


def _finding(code: str, severity: str, message: str, subjects: list[str], *, repaired: bool = False) -> Finding:
    return Finding.model_validate(
        {"code": code, "severity": severity, "message": message, "subjects": subjects[:NAMED], "repaired": repaired}
    )
