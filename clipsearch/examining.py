"""Look for what is wrong with a library, and mend what comes back: the doctor, who compares files, rows and indexes."""

from __future__ import annotations

import random
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from pathlib import Path

import numpy as np

from clipsearch.answers import DoctorReport, Finding
from clipsearch.database import Connection
from clipsearch.database import collection_models as further_rows
from clipsearch.database import collections as collection_rows
from clipsearch.database import images as image_rows
from clipsearch.database import models as model_rows
from clipsearch.database import runs as run_rows
from clipsearch.database import taggings as tagging_rows
from clipsearch.database.checking import check_file, damaged_embeddings, embedded_by_others, images_without_embedding
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import vectors_of
from clipsearch.database.filtering import list_images
from clipsearch.database.images import ImageRow
from clipsearch.database.leases import renew_lease
from clipsearch.errors import InvalidInput, UnreadableImage
from clipsearch.images import Presence, content_hash, is_upload, kept_uploads, path_of, presence, uri_of
from clipsearch.library import Library
from clipsearch.queries import Filters

SAMPLE = 200
_MINUTES_TO_COMMIT = 60
NAMED = 20
# SQLite's own account: https://sqlite.org/wal.html#walresetbug
_WAL_BUG_ENDS = (3, 51, 3)


def examine(library: Library, *, repair: bool = False) -> DoctorReport:
    """Look for what is wrong. Nothing is changed unless ``repair`` asks for it, and then only what comes back:
    indexes are rebuilt, and images whose file or embedding is lost are marked gone, to be indexed again, where
    indexing brings them back. A source of which no file is there is left as it is: an unplugged disk looks the same.
    """
    findings = list(_database_findings(library))
    checked = {"collections": 0, "images": 0, "files_hashed": 0}
    with library.database.read() as connection:
        rows = collection_rows.list_collections(connection)
    for row in rows:
        checked["collections"] += 1
        findings += _file_findings(library, row, checked, repair=repair)
        _count_tags(library, row, checked)
        damaged = list(_embedding_findings(library, row, repair=repair))
        findings += damaged
        if all(one.repaired or one.code != "damaged_embeddings" for one in damaged):
            findings += _index_findings(library, row, repair=repair)  # damaged rows could not be read for it
    findings += _orphaned_uploads(library)
    healthy = all(one.severity == "info" or one.repaired for one in findings)
    return DoctorReport(healthy=healthy, checked=checked, findings=findings)


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
    files: dict[Presence, list[ImageRow]] = {"there": [], "gone": [], "unknown": []}
    for image in _every_image(library, row):
        checked["images"] += 1
        path = _path(image.uri)
        if path is not None and image.content_hash is not None:  # an imported embedding may bear any name
            files[presence(path)].append(image)
    missing = {image.id: image for image in files["gone"]}
    for source, images in _lost_sources(library, row, files).items():
        for image in images:
            del missing[image.id]
        yield _finding("missing_files", "warning",
                       f"all {len(images)} files of {row.name!r} under {source} are missing, as when a disk is not "
                       "there, and so they are left as they are; if they are really gone: "
                       f"clipsearch index {shlex.quote(source)} --allow-empty -c {shlex.quote(row.name)}",
                       [one.uri for one in images])  # fmt: skip
    if missing:
        if repair:
            _change(library, row, list(missing.values()), partial(_mark_gone, row, False), lost_files=True)
        yield _finding("missing_files", "warning", f"{len(missing)} files of {row.name!r} are not there any more",
                       [one.uri for one in missing.values()], repaired=repair)  # fmt: skip
    if files["unknown"]:
        yield _finding("unseen_files", "warning",
                       f"of {len(files['unknown'])} files of {row.name!r} it cannot be told whether they are there; "
                       "see whether their folders may be entered", [one.uri for one in files["unknown"]])  # fmt: skip
    yield from _changed_findings(row, files["there"], checked)


def _lost_sources(
    library: Library, row: CollectionRow, files: Mapping[Presence, Sequence[ImageRow]]
) -> dict[str, list[ImageRow]]:
    """The sources that were indexed and of whose files none is there, with these; a file counts once."""
    with library.database.read() as connection:
        sources = {path_of(uri) for uri in run_rows.list_sources(connection, row.id)}
    alive = {
        source for kind in ("there", "unknown") for one in files[kind] for source in _above(path_of(one.uri), sources)
    }
    lost: dict[str, list[ImageRow]] = {}
    for image in files["gone"]:
        without = [source for source in _above(path_of(image.uri), sources) if source not in alive]
        if without:
            lost.setdefault(without[-1], []).append(image)
    return lost


def _above(path: str, sources: Set[str]) -> list[str]:
    """Which of the sources a file lies under, or is; the inmost first."""
    return [str(one) for one in (Path(path), *Path(path).parents) if str(one) in sources]


def _changed_findings(row: CollectionRow, present: Sequence[ImageRow], checked: dict[str, int]) -> Iterator[Finding]:
    sample = random.Random(0).sample(present, min(SAMPLE, len(present)))  # noqa: S311  (no secret hangs on it)
    checked["files_hashed"] += len(sample)
    differing = [image.uri for image in sample if _differs(image)]
    if differing:
        yield _finding("changed_files", "warning",
                       f"{len(differing)} of {len(sample)} sampled files of {row.name!r} differ from what was indexed; "
                       "index their folder again", differing)  # fmt: skip


def _differs(image: ImageRow) -> bool:
    try:
        return content_hash(Path(path_of(image.uri))) != image.content_hash
    except UnreadableImage:
        return True


def _embedding_findings(library: Library, row: CollectionRow, *, repair: bool) -> Iterator[Finding]:
    """Images that no search finds, by the way in which they come back. Nothing is forgotten that cannot be made again:
    neither what another model has embedded, nor what has no file, nor an upload, which no folder brings back."""
    with library.database.read() as connection:
        model = model_rows.find_model(connection, row.model_name)
        number = model.id if model else None
        lacking = images_without_embedding(connection, row.id, number)
        damaged = damaged_embeddings(connection, row.id, model.id, model.model.dimension) if model else []
        ids = [image for image, _ in lacking + damaged]
        rows, others = image_rows.image_rows(connection, ids), embedded_by_others(connection, ids, number)
    add = f"run: clipsearch models add {shlex.quote(row.model_name)} -c {shlex.quote(row.name)}"
    for code, what, found in (
        ("images_without_embedding", "have no embedding", lacking),
        ("damaged_embeddings", "have a damaged embedding", damaged),
    ):
        is_damaged = found is damaged
        ways: dict[str, list[ImageRow]] = {"index": [], "add": [], "switched": [], "none": []}
        for image in (rows[image] for image, _ in found if image in rows):
            ways[_way_back(library, row, image, image.id in others, is_damaged)].append(image)
        if ways["switched"]:
            yield _finding("images_without_model", "info",
                           f"{len(ways['switched'])} images of {row.name!r} have embeddings by other models only, not "
                           f"by {row.model_name}, which answers: searches leave them out; {add}",
                           [one.uri for one in ways["switched"]])  # fmt: skip
        drop = partial(_drop, row, model.id) if model and is_damaged else None
        changes = {"index": partial(_mark_gone, row, True), "add": drop}
        for way, advice in (("index", "index them again"), ("add", add), ("none", "there is no file to make one of")):
            if images := ways[way]:
                change = changes.get(way) if repair else None
                if change is not None:
                    _change(library, row, images, change)
                yield _finding(code, "error", f"{len(images)} images of {row.name!r} {what}; {advice}",
                               [one.uri for one in images], repaired=change is not None)  # fmt: skip


def _way_back(library: Library, row: CollectionRow, image: ImageRow, by_others: bool, is_damaged: bool) -> str:
    """Whether indexing its folder or adding the model makes an embedding of the image, or nothing does; ``switched``
    where it merely lacks the model that answers."""
    if by_others and not is_damaged:
        return "switched"
    path = _path(image.uri)
    if path is None or image.content_hash is None or presence(path) != "there":
        return "none"
    return "add" if by_others or is_upload(library.settings.data_dir, row.id, path) else "index"


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


def _count_tags(library: Library, row: CollectionRow, checked: dict[str, int]) -> None:
    """Tags that do not answer are no fault: those of images that left wait for their return, those of a label set
    that gives other scores by now for the next tagging."""
    with library.database.read() as connection:
        states = tagging_rows.tagging_states(connection, row.id)
        if not states:
            return
        idle = tagging_rows.count_idle_tags(connection, row.id)
    stale = sum(state.why_stale is not None for state in states)
    for name, count in (("taggings", len(states)), ("stale_taggings", stale), ("tagged_images_gone", idle)):
        checked[name] = checked.get(name, 0) + count


def _orphaned_uploads(library: Library) -> Iterator[Finding]:
    """Files of uploads that no image speaks of, as a process leaves them that was killed between the two. Young ones
    are left out: whoever keeps them may be about to speak of them. None is ever deleted here: after a backup was
    restored these may be all that is left of an image."""
    old = time.time() - _MINUTES_TO_COMMIT * 60
    files = [path for path in kept_uploads(library.settings.data_dir) if _written_before(path, old)]
    if not files:
        return
    with library.database.read() as connection:
        known = image_rows.present_uris(connection, [uri_of(path) for path in files])
    orphans = [str(path) for path in files if uri_of(path) not in known]
    if orphans:
        yield _finding("orphaned_uploads", "info",
                       f"{len(orphans)} uploaded files belong to no image, as after a request that was cut short or a "
                       "backup that was restored; what is not wanted may be deleted, the rest can be added again: "
                       "clipsearch add FILE", orphans)  # fmt: skip


def _written_before(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except OSError:
        return False


def _every_image(library: Library, row: CollectionRow) -> Iterator[ImageRow]:
    after = 0
    while True:
        with library.database.read() as connection:
            page = list_images(connection, row.id, Filters(), after=after, limit=5_000)
        if not page:
            return
        yield from page
        after = page[-1].id


def _change(
    library: Library,
    row: CollectionRow,
    images: Sequence[ImageRow],
    change: Callable[[Connection, list[int]], None],
    *,
    lost_files: bool = False,
) -> None:
    """Change these images, but for those that were indexed again or came back since they were looked at."""
    with library.lease(row, "repairing") as lease:
        still = [one for one in images if not lost_files or presence(path_of(one.uri)) == "gone"]
        with library.database.write() as connection:
            renew_lease(connection, lease, library.settings.lease_seconds)
            rows = image_rows.image_rows(connection, [one.id for one in still])
            ids = [one.id for one in still if one.id in rows
                   and (rows[one.id].uri, rows[one.id].revision) == (one.uri, one.revision)]  # fmt: skip
            if ids:
                change(connection, ids)


def _mark_gone(row: CollectionRow, forget: bool, connection: Connection, ids: list[int]) -> None:
    image_rows.mark_gone(connection, collection_rows.advance(connection, row.id), ids, forget=forget)


def _drop(row: CollectionRow, model_id: int, connection: Connection, ids: list[int]) -> None:
    further_rows.drop_embeddings(connection, row.id, model_id, ids)


def _path(uri: str) -> Path | None:
    try:
        return Path(path_of(uri))
    except InvalidInput:
        return None


def _finding(code: str, severity: str, message: str, subjects: list[str], *, repaired: bool = False) -> Finding:
    return Finding.model_validate(
        {"code": code, "severity": severity, "message": message, "subjects": subjects[:NAMED], "repaired": repaired}
    )
