"""Opens images in a process of its own, so that a decoder which crashes costs one image; alone knows how the two talk.

A message is a JSON object; behind a question go the file's bytes, and behind an answer the picture's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final

import PIL.Image

from clipsearch.errors import ConfigError, DecoderCrashed, TooManyPixels, UnreadableImage, UnsupportedFormat
from clipsearch.images.opening import MAX_PIXELS, Opened, open_picture

MOST_SECONDS: Final = 60
"""A decoder that takes longer hangs: the slowest file of 50 million pixels takes a few seconds."""

# Room for Python and its libraries, and for a picture in the greediest of formats (WebP takes 16 bytes a pixel).
_BYTES_OF_PROCESS, _BYTES_A_PIXEL = 2_000_000_000, 32
_SECONDS_TO_START, _SECONDS_TO_END = 60, 5
_ERRORS: Final = {error.code: error for error in (UnreadableImage, UnsupportedFormat, TooManyPixels)}
_READY: Final = b"ready"

# How a process ends of the machine's want of memory or time as well as of a file's.
_MAYBE_INNOCENT: Final = frozenset({-signal.SIGKILL, -signal.SIGALRM}) if os.name == "posix" else frozenset()


class DecodingProcess:
    """``open_picture`` in a process of its own, which is started when it is needed; for one thread at a time.

    The process may take ``_BYTES_A_PIXEL`` for each of ``max_pixels`` and ``seconds`` for each picture.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS, seconds: int = MOST_SECONDS) -> None:
        self._max_pixels = max_pixels
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process, while there is one."""
        return self._process.pid if self._process else None

    def open_picture(self, source: bytes | Path, reduced_to: int | None = None) -> Opened:
        """What ``opening.open_picture`` gives for a file's bytes, or its path, and raises.

        Raises DecoderCrashed when the process died of it, or took longer than it may; ConfigError when no process
        can be started. What may be the fault of others that took memory or time is tried twice.
        """
        status, opened = self._tried(source, reduced_to)
        if status in _MAYBE_INNOCENT:
            status, opened = self._tried(source, reduced_to)
        if opened is None:
            raise DecoderCrashed(f"the decoder {_end_of(status, self._seconds)}")
        return opened

    def _tried(self, source: bytes | Path, reduced_to: int | None) -> tuple[int, Opened | None]:
        """The picture, or None and the status with which the process ended."""
        connection = self._connection or self._start()
        question = {"path": None if isinstance(source, bytes) else os.fspath(source), "reduced_to": reduced_to}
        try:
            connection.send_bytes(json.dumps(question).encode())
            if isinstance(source, bytes):
                connection.send_bytes(source)
            answer = json.loads(connection.recv_bytes())
            return 0, _opened(answer, connection)
        except (EOFError, OSError):
            return self._end(), None

    def close(self) -> None:
        """End the process."""
        self._end()

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        command = [sys.executable, "-P", "-c", f"import {__name__} as apart; apart.serve()",
                   str(theirs.fileno()), str(self._max_pixels), str(self._seconds)]  # fmt: skip
        try:
            self._process = subprocess.Popen(  # noqa: S603  this interpreter, and no shell
                command, env=_environment(), pass_fds=[theirs.fileno()], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self._connection = ours
            theirs.close()
            if not ours.poll(_SECONDS_TO_START) or ours.recv_bytes() != _READY:
                raise EOFError
        except (EOFError, OSError, ValueError) as error:
            self._end()
            raise ConfigError("no process to decode images in could be started; set decode_processes to 0") from error
        return ours

    def _end(self) -> int:
        """End the process; gives its exit status, negative for the signal that it died of."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            return process.wait(_SECONDS_TO_END)  # it ends by itself when nobody asks any more
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def serve() -> None:
    """Answer until nobody asks any more; the process's whole work. Its arguments are a handle and the limits."""
    handle, max_pixels, seconds = (int(argument) for argument in sys.argv[1:])
    # Whoever stops a run stops the one that asks: a file must not be blamed for the end of its decoder.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit_memory(_BYTES_OF_PROCESS + _BYTES_A_PIXEL * max_pixels)
    with Connection(handle) as connection, suppress(EOFError, OSError):
        connection.send_bytes(_READY)
        while True:
            question = json.loads(connection.recv_bytes())
            source = connection.recv_bytes() if question["path"] is None else Path(question["path"])
            signal.alarm(seconds)  # the kernel's: it ends decoders that never come back to Python
            _answer(connection, source, max_pixels, question["reduced_to"])
            signal.alarm(0)


def _answer(connection: Connection, source: bytes | Path, max_pixels: int, reduced_to: int | None) -> None:
    try:
        opened = open_picture(source, max_pixels=max_pixels, reduced_to=reduced_to)
    except UnreadableImage as error:
        refusal = {"code": error.code, "message": error.message, "details": error.details}
        connection.send_bytes(json.dumps(refusal).encode())
        return
    facts = {
        "size": opened.picture.size,
        "format": opened.format,
        "width": opened.width,
        "height": opened.height,
        "taken_at": None if opened.taken_at is None else opened.taken_at.isoformat(),
        "pixel_hash": opened.pixel_hash,
        "frames": opened.frames,
    }
    connection.send_bytes(json.dumps(facts).encode())
    connection.send_bytes(opened.picture.tobytes())


def _opened(answer: dict[str, Any], connection: Connection) -> Opened:
    if "code" in answer:
        raise _ERRORS.get(answer["code"], UnreadableImage)(answer["message"], **answer["details"])
    taken_at, size = answer.pop("taken_at"), tuple(answer.pop("size"))
    return Opened(
        picture=PIL.Image.frombytes("RGB", size, connection.recv_bytes()),
        taken_at=None if taken_at is None else datetime.fromisoformat(taken_at),
        **answer,
    )


def _end_of(status: int, seconds: int) -> str:
    if status == -signal.SIGALRM:
        return f"took longer than {seconds} s"
    if status == -signal.SIGKILL:
        return "was killed, as happens when memory runs out"
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})"
    return f"ended its process (status {status})"


def _environment() -> dict[str, str]:
    """This process's, with the place where it found the package first, and one thread for what computes."""
    home = os.fspath(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _limit_memory(most: int) -> None:
    import resource  # not on every system that the package is imported on

    for limit, value in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a lower limit is in force already
            resource.setrlimit(limit, (value, value))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
