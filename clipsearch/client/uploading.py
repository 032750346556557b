"""Many pictures to a server, several in a request and several requests at once; one bad picture costs itself only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsearch.answers.additions import ImageAdded, ImagesAdded, Reason
from clipsearch.client.problems import InvalidRequest, ServerError
from clipsearch.client.transport import Transport, segment
from clipsearch.errors import ClipSearchError, InvalidInput, TooLarge

Upload = Path | tuple[str, bytes]

# What goes into one request: a server takes more, but an answer soon is progress.
AT_ONCE = 8
BYTES_AT_ONCE = 16_000_000
# What a proxy or the server says of the body of one request: too large, or of a type it does not take.
_OF_THE_BODY = frozenset({413, 415})


@dataclass(frozen=True)
class Progress:
    """How far an upload has come: pictures dealt with, those of them that failed, and all; bytes that were sent."""

    done: int
    total: int
    failed: int
    bytes_sent: int


@dataclass
class _Counter:
    """Counts what is done, and tells it one at a time."""

    total: int
    on_progress: Callable[[Progress], None] | None
    done: int = 0
    failed: int = 0
    bytes_sent: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def add(self, added: Sequence[ImageAdded], size: int) -> None:
        with self._lock:
            self.done += len(added)
            self.failed += sum(one.outcome == "failed" for one in added)
            self.bytes_sent += size
            if self.on_progress is not None:
                self.on_progress(Progress(self.done, self.total, self.failed, self.bytes_sent))


class _Sender:
    """One upload: where to, with what, and the entries so far by their places."""

    def __init__(self, transport: Transport, collection: str, attributes: Mapping[str, Any], counter: _Counter) -> None:
        self._transport = transport
        self._path = f"/collections/{segment(collection)}/images"
        self._data = {"attributes": json.dumps(dict(attributes))} if attributes else {}
        self._counter = counter
        self.entries: dict[int, ImageAdded] = {}

    def send(self, batch: Sequence[tuple[int, Upload]]) -> None:
        """Read and send these pictures, and note what became of each."""
        ready = []
        for place, upload in batch:
            name = upload.name if isinstance(upload, Path) else upload[0]
            try:
                ready.append((place, name, upload.read_bytes() if isinstance(upload, Path) else upload[1]))
            except OSError as error:
                reason = f"the file cannot be read: {error.strerror or error}"
                self._note([(place, _failed(name, "unreadable_file", reason))], 0)
        if ready:
            self._send_ready(ready)

    def _send_ready(self, ready: Sequence[tuple[int, str, bytes]]) -> None:
        files = [("image", (name, data)) for _, name, data in ready]
        try:
            answer = self._transport.ask(ImagesAdded, self._path, files=files, data=self._data)
        except ClipSearchError as error:
            if not _concerns_pictures(error):
                raise
            if len(ready) > 1:
                for one in ready:
                    self._send_ready([one])
                return
            place, name, _ = ready[0]
            self._note([(place, _failed(name, error.code, error.message))], 0)
            return
        if len(answer.images) != len(ready):
            raise ServerError(f"the server told of {len(answer.images)} of {len(ready)} pictures", 200)
        places = [place for place, _, _ in ready]
        self._note(list(zip(places, answer.images, strict=True)), sum(len(data) for _, _, data in ready))

    def _note(self, entries: Sequence[tuple[int, ImageAdded]], size: int) -> None:
        self.entries.update(entries)
        self._counter.add([entry for _, entry in entries], size)


def upload_all(
    transport: Transport,
    files: Sequence[Upload],
    collection: str,
    attributes: Mapping[str, Any],
    parallel: int,
    on_progress: Callable[[Progress], None] | None,
) -> ImagesAdded:
    """Send all of them; see ``Images.upload``."""
    if parallel < 1:
        raise InvalidInput("parallel is 1 at least")
    sender = _Sender(transport, collection, attributes, _Counter(len(files), on_progress))
    with ThreadPoolExecutor(parallel, thread_name_prefix="upload") as executor:
        tasks = [executor.submit(sender.send, batch) for batch in _batches(files)]
        ended, _ = wait(tasks, return_when=FIRST_EXCEPTION)
        if any(task.exception() for task in ended):
            executor.shutdown(cancel_futures=True)  # what concerns one request concerns all that follow
    for task in tasks:
        if not task.cancelled():
            task.result()
    return ImagesAdded(collection=collection, images=[sender.entries[place] for place in range(len(files))])


def _batches(files: Sequence[Upload]) -> Iterator[list[tuple[int, Upload]]]:
    batch: list[tuple[int, Upload]] = []
    size = 0
    for place, upload in enumerate(files):
        weight = _size_of(upload)
        if batch and (len(batch) == AT_ONCE or size + weight > BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append((place, upload))
        size += weight
    if batch:
        yield batch


def _size_of(upload: Upload) -> int:
    if not isinstance(upload, Path):
        return len(upload[1])
    try:
        return upload.stat().st_size
    except OSError:
        return 0  # told when it is read


def _concerns_pictures(error: ClipSearchError) -> bool:
    if isinstance(error, ServerError):
        return error.status in _OF_THE_BODY
    # The form of a request is the same for all: an attribute's name, say.
    return isinstance(error, InvalidInput | TooLarge) and not isinstance(error, InvalidRequest)


def _failed(name: str, code: str, reason: str) -> ImageAdded:
    return ImageAdded(name=name, outcome="failed", error=Reason(code=code, reason=reason))
