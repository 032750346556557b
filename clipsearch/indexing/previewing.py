"""Says what a run would do without doing it: files are hashed, none is decoded, nothing is written."""

from __future__ import annotations

from pathlib import Path

from clipsearch.answers import FailedFile, IndexingReport
from clipsearch.database import failures as failure_rows
from clipsearch.database import images as image_rows
from clipsearch.database import models as model_rows
from clipsearch.database.collections import find_collection
from clipsearch.errors import UnreadableImage
from clipsearch.images import content_hash, path_of, uri_of
from clipsearch.indexing.groups import Groups
from clipsearch.indexing.options import IndexingOptions
from clipsearch.indexing.planning import by_hash, make_plan, scan_source, unseen_failures, uri_prefixes
from clipsearch.library import Library


def preview(library: Library, source: Path, collection: str | None, options: IndexingOptions) -> IndexingReport:
    """The report that a run would give, with ``run_id`` None; only decoding can tell which files will fail."""
    scan = scan_source(source, allow_empty=options.allow_empty)
    name = collection or library.settings.collection
    with library.database.read() as connection:
        row = find_collection(connection, name)
        model = model_rows.find_model(connection, row.model_name) if row else None
        number = row.id if row else 0
        known = image_rows.known_files(connection, number, model.id if model else None, uri_prefixes(source))
        failures = {one.uri: one for one in failure_rows.list_failures(connection, number)}
    plan = make_plan(scan, known, failures, retry_failed=options.retry_failed, allow_empty=options.allow_empty)
    groups = Groups(unchanged=list(plan.unchanged), failed=list(plan.still_failed))
    vanished = by_hash(plan.vanished.values())
    removed = set(plan.vanished)
    for file in plan.to_read:
        try:
            digest = content_hash(Path(path_of(file.uri)))
        except UnreadableImage as error:
            groups.failed.append(FailedFile(uri=file.uri, code="unreadable_file", reason=error.message))
            continue
        before = known.get(file.uri)
        if before is not None and not before.gone:
            same = before.embedded and before.content_hash == digest
            (groups.unchanged if same else groups.changed).append(file.uri)
        elif vanished[digest]:
            removed.remove(vanished[digest].pop().uri)
            groups.moved.append(file.uri)
        else:
            groups.added.append(file.uri)
    groups.removed = sorted(removed)
    groups.failed += [FailedFile(uri=one.uri, code=one.code, reason=one.reason) for one in unseen_failures(scan)]
    new_model = library.model_name(options.model)
    model_name, revision = (row.model_name, row.revision) if row else (new_model, 0)
    return groups.report(name, uri_of(source), model_name, run_id=None, revision=revision, seconds=0.0)
