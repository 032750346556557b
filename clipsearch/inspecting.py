"""Say how the library is: its collections with their indexes, its models, and the status of it all."""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch import __version__
from clipsearch.answers import CollectionInfo, IndexInfo, LeaseInfo, ModelInfo, StatusReport, TrialInfo
from clipsearch.database import collections as collection_rows
from clipsearch.database import failures as failure_rows
from clipsearch.database import label_sets as label_rows
from clipsearch.database import leases as lease_rows
from clipsearch.database import models as model_rows
from clipsearch.database import runs as run_rows
from clipsearch.database.collections import CollectionRow
from clipsearch.database.embeddings import count_changes
from clipsearch.database.leases import Lease
from clipsearch.database.migrating import current_revision
from clipsearch.indexes import IndexView
from clipsearch.library import Library


def show_collection(library: Library, name: str | None = None, *, with_index: bool = True) -> CollectionInfo:
    """One collection, with its index unless that is not wanted. Raises CollectionNotFound."""
    row = library.collection(name)
    with library.database.read() as connection:
        model = model_rows.find_model(connection, row.model_name)
        standing = _Standing(
            images=collection_rows.count_images(connection, row.id),
            failures=failure_rows.count_failures(connection, row.id),
            lease=lease_rows.find_lease(connection, row.id),
            dimension=model.model.dimension if model else None,
        )
    return _collection_info(row, standing, library.index(row) if with_index else None)


def list_collections(library: Library) -> list[CollectionInfo]:
    """All of them, by name, without their indexes."""
    with library.database.read() as connection:
        rows = collection_rows.list_collections(connection)
        # As many statements for a hundred collections as for one: every page of the server asks this.
        images = collection_rows.count_each_images(connection)
        failures = failure_rows.count_each_failures(connection)
        leases = lease_rows.list_leases(connection)
        dimensions = model_rows.dimensions(connection)
    return [
        _collection_info(
            row,
            _Standing(images.get(row.id, 0), failures.get(row.id, 0), leases.get(row.id),
                      dimensions.get(row.model_name)),
            None,
        )
        for row in rows
    ]  # fmt: skip


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


@dataclass(frozen=True)
class LibraryCounts:
    """What changes from minute to minute, for whoever watches a server."""

    images: dict[str, int]
    lag_rows: dict[str, int]
    runs: dict[str, int]


def count_library(library: Library) -> LibraryCounts:
    """Images and rows behind by collection, runs by state; loads no index. Raises Busy, StorageFull, ConfigError."""
    images, lag_rows = {}, {}
    with library.database.read() as connection:
        counts = collection_rows.count_each_images(connection)
        for row in collection_rows.list_collections(connection):
            images[row.name] = counts.get(row.id, 0)
            view = library.held_index(row)
            if view is not None:
                lag_rows[row.name] = count_changes(connection, row.id, view.revision)
        runs = run_rows.count_runs(connection)
    return LibraryCounts(images=images, lag_rows=lag_rows, runs=runs)


@dataclass(frozen=True)
class _Standing:
    """What the rows say of one collection."""

    images: int
    failures: int
    lease: Lease | None
    dimension: int | None


def _collection_info(row: CollectionRow, standing: _Standing, view: IndexView | None) -> CollectionInfo:
    lease = standing.lease
    return CollectionInfo(
        name=row.name,
        model=row.model_name,
        dimension=standing.dimension,
        images=standing.images,
        failures=standing.failures,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        index=_index_info(view) if view else None,
        unsearchable=max(0, standing.images - len(view.index)) if view else None,
        lease=LeaseInfo(
            holder=lease.holder,
            purpose=lease.purpose,
            acquired_at=lease.acquired_at,
            expires_at=lease.expires_at,
        )
        if lease
        else None,
    )


def _index_info(view: IndexView) -> IndexInfo:
    index, trial = view.index, view.index.trial
    return IndexInfo(
        kind=index.kind,
        images=len(index),
        revision=view.revision,
        memory_bytes=index.memory_bytes,
        mapped_bytes=index.mapped_bytes,
        trial=TrialInfo(
            in_service=index.kind != "flat_fp16",
            recall_image=trial.recall_image,
            recall_text=trial.recall_text,
            image_queries=trial.image_queries,
            text_queries=trial.text_queries,
            text_source=trial.text_source,
            rows=trial.rows,
            cells=trial.cells,
            probes=trial.probes,
        )
        if trial
        else None,
    )
