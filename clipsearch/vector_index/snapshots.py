"""Saves an index on disk and takes it back; knows the order of writes that survives a power cut, and doubt.

A snapshot is a cache. One that is damaged, of another collection or model, or half written is not believed:
a warning says why, and the index comes from the database's rows. Whether its revision is still part of the
collection's history only the database knows: the reader of the :class:`Stand` has to ask it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import mmap
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.errors import StorageFull
from clipsearch.vector_index import manifest as manifests
from clipsearch.vector_index import verified
from clipsearch.vector_index.manifest import Manifest, NotBelieved, Outdated, Stand
from clipsearch.vector_index.protocol import VectorIndex

if TYPE_CHECKING:
    from clipsearch.vector_index.generation import Generation

log = logging.getLogger(__name__)

_LOCK = "snapshot.lock"
_SPARE_BYTES = 16 * 1024 * 1024  # left free for the database's own writes
_FULL = {errno.ENOSPC, errno.EDQUOT}


def save_snapshot(folder: Path, index: VectorIndex, stand: Stand) -> Path | None:
    """Write ``index``, which stands at ``stand``, into ``folder``; the path of its file.

    ``folder`` belongs to one collection under one model. None where another process or thread saves there.
    A crash at any instant leaves the former snapshot or the new one. Raises StorageFull, leaving the former
    snapshot as it was, where the disk has no room; ValueError where ``stand`` is of another dimension.
    """
    from filelock import FileLock, Timeout  # and with it asyncio, which reading has no need of

    from clipsearch.vector_index.generation import Generation

    if not isinstance(index, Generation):
        raise TypeError(f"only indexes in memory have snapshots, not {type(index).__name__}")
    if index.dimension != stand.dimension:
        raise ValueError(f"the index has {index.dimension} dimensions, the stand {stand.dimension}")
    folder = Path(folder)
    with _full_disk_told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / _LOCK, timeout=0):
                return _save(folder, index, stand)
        except Timeout:
            log.info("a snapshot of %s is being saved by another; skipped", stand.collection)
            return None


def load_snapshot(folder: Path, *, collection: str, model: str, dimension: int) -> tuple[VectorIndex, Stand] | None:
    """The index saved in ``folder`` and where it stands, or None where there is none that can be believed.

    Every byte is compared with its checksum, once for a file that did not change (see ``verified``). The file is
    mapped and not read: whoever holds the index goes on reading it, also when a save has replaced it by then. (On
    Windows a mapped file cannot be removed: it stays beside the new one until a later save.) A refused snapshot is
    left where it is, for the next save to replace, and a warning says why.
    """
    folder = Path(folder)
    try:
        found = _read_manifest(folder)
        if found is None:
            return None
        _compare(found, collection, model, dimension)
        while True:
            try:
                return _read_index(folder, found), found.stand
            except FileNotFoundError:
                newer = _read_manifest(folder)  # a save may have come between
                if newer is None or newer == found:
                    raise NotBelieved("its file is missing") from None
                found = newer
                _compare(found, collection, model, dimension)
    except Outdated as reason:
        log.info("snapshot of collection %s in %s is of an older release: %s", collection, folder, reason)
    except NotBelieved as reason:
        log.warning("snapshot of collection %s in %s not used: %s", collection, folder, reason)
    except OSError as error:
        log.warning("snapshot of collection %s in %s cannot be read: %s", collection, folder, error)
    return None


def _save(folder: Path, index: Generation, stand: Stand) -> Path:
    """Index aside, fsync, rename; manifest aside, fsync, rename; fsync the folder; then the old ones go."""
    import faiss

    from clipsearch.vector_index import snapshot_file

    _sweep(folder, keep=_current_file(folder))
    if index.kind == "ivf_sq8":
        index = index.compacted()
    size = snapshot_file.size_of(index)
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE_BYTES:
        raise StorageFull(
            f"A snapshot of {size:,} bytes does not fit into {folder} with {free:,} bytes free; "
            "search goes on, the next start takes longer.",
            needed=size,
            free=free,
        )
    target = folder / manifests.file_name(stand, secrets.token_hex(4))
    try:
        digest = _write_aside(target, lambda out: snapshot_file.write(index, out))
        written = Manifest(
            target.name, size, digest, index.kind, len(index), str(faiss.__version__), stand, index.trial
        )
        _write_aside(folder / manifests.NAME, lambda out: out(manifests.to_bytes(written)))
    except BaseException:
        if _current_file(folder) != target.name:
            target.unlink(missing_ok=True)
        raise
    _sweep(folder, keep=target.name)
    return target


def _write_aside(target: Path, produce: Callable[[Callable[[Any], object]], object]) -> str:
    """Write what ``produce`` hands out beside ``target``, put it in its place durably; its SHA-256."""
    aside = target.with_name(target.name + ".tmp")
    digest = hashlib.sha256()
    try:
        with open(aside, "wb") as file:

            def out(block: Any) -> None:
                digest.update(block)
                file.write(block)

            produce(out)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
        _fsync_folder(target.parent)  # else the rename of the manifest might survive a power cut alone
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def _fsync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder, and orders renames itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path, keep: str | None) -> None:
    """Remove what interrupted saves and former snapshots left. Who has one open goes on reading it."""
    for path in [*folder.glob("*.tmp"), *folder.glob("index-*.vectors")]:
        if path.name != keep:
            with contextlib.suppress(PermissionError):  # Windows keeps what someone has mapped
                path.unlink(missing_ok=True)


def _current_file(folder: Path) -> str | None:
    """The name of the file that the manifest there speaks of, if it can be believed."""
    try:
        found = _read_manifest(folder)
    except (NotBelieved, OSError):
        return None
    return None if found is None else found.file


def _read_manifest(folder: Path) -> Manifest | None:
    try:
        with open(folder / manifests.NAME, "rb") as file:
            raw = file.read(manifests.LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(raw) > manifests.LARGEST:
        raise NotBelieved("the manifest is too long")
    return manifests.from_bytes(raw)


def _compare(found: Manifest, collection: str, model: str, dimension: int) -> None:
    """Raise NotBelieved where the snapshot is of something else."""
    stand = found.stand
    if stand.collection != collection:
        raise NotBelieved(f"it is of collection {stand.collection}")
    if stand.model != model:
        raise NotBelieved(f"it was made with the model {stand.model}, not {model}")
    if stand.dimension != dimension:
        raise NotBelieved(f"it has {stand.dimension} dimensions, not {dimension}")


def _read_index(folder: Path, found: Manifest) -> Generation:
    """Map and check the file of ``found``: the bytes that are hashed are the very bytes that are searched later."""
    import faiss

    from clipsearch.vector_index import snapshot_file

    if found.kind != "flat_fp16" and found.faiss != faiss.__version__:
        raise NotBelieved(f"its cells were made by faiss {found.faiss}, this is {faiss.__version__}")
    with open(folder / found.file, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if status.st_size != found.size:
            raise NotBelieved(f"its file has {status.st_size} bytes, not {found.size}")
        memory = np.frombuffer(mmap.mmap(file.fileno(), found.size, access=mmap.ACCESS_READ), dtype=np.uint8)
    seen = verified.identity_of(status)
    known = verified.known(folder, seen, found.sha256)
    if not known:
        digest = hashlib.sha256()
        for block in snapshot_file.blocks(memory):
            digest.update(block)
        if digest.hexdigest() != found.sha256:
            raise NotBelieved("its checksum is wrong")
    index = snapshot_file.read(memory, found.stand.dimension, found.count, found.trial, sound=known)
    if index.kind != found.kind:
        raise NotBelieved(f"it holds an index of kind {index.kind}, not {found.kind}")
    if not known:
        verified.remember(folder, seen, found.sha256)
    return index


@contextlib.contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    """Turn the system's word for a full disk or quota into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(f"The disk of {folder} is full; the former snapshot was kept.") from error
