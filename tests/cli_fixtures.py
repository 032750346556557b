"""Calls the command line, in this process or in one of its own, and keeps a small indexed library to call it on."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from encoder_fixtures import make_checkpoints, pictures, write_model_folder

from clipsearch.cli import run

PICTURES = 6
# A name that is not UTF-8, and holds what shells and terminals stumble over.
STRANGE = b"a\xff b\n\x1b[31m'.jpg"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def answer(self) -> dict[str, Any]:
        """The one object on the one line of stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, (lines, self.err)
        found: dict[str, Any] = json.loads(lines[0])
        return found


@dataclass(frozen=True)
class Shelf:
    """A library, the folder of pictures that was indexed into it, and the model that did so."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "library"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CLIPSEARCH_DATA_DIR": str(self.data),
            "CLIPSEARCH_MODEL": str(self.folder / "model"),
            "CLIPSEARCH_DEVICE": "cpu",
        }

    def call(self, *arguments: str | bytes | Path, stdin: bytes = b"") -> Outcome:
        """A command in this process."""
        return call(*arguments, stdin=stdin, environment=self.environment)

    def spawn(self, *arguments: str | bytes | Path, **more: Any) -> Outcome:
        """A command in a process of its own."""
        return spawn(*arguments, environment=self.environment, **more)


def call(*arguments: str | bytes | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Outcome:
    """Run a command in this process, with no settings but those given."""
    out, err, source = (io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (b"", b"", stdin))
    before = logging.getLogger("clipsearch").level
    with (
        mock.patch.dict(os.environ, {**_plain_environment(), **(environment or {})}, clear=True),
        mock.patch.multiple(sys, stdout=out, stderr=err, stdin=source),
    ):
        try:
            code = run([os.fsdecode(one) for one in arguments])
        finally:
            logging.getLogger("clipsearch").setLevel(before)
            out.flush()
            err.flush()
    written, said = (stream.buffer.getvalue() for stream in (out, err))
    return Outcome(code, written, said.decode())


def spawn(
    *arguments: str | bytes | Path,
    environment: Mapping[str, str] | None = None,
    python: tuple[str, ...] = (),
    **more: Any,
) -> Outcome:
    """Run a command in a process of its own, with no settings but those given."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "clipsearch.cli", *arguments],
        env={**_plain_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=240,
        **{"stdout": subprocess.PIPE, **more},
    )
    return Outcome(done.returncode, done.stdout or b"", done.stderr.decode())


def _plain_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLIPSEARCH_")}
    # As for all tests: no conversion, and no export after the first search of each library.
    return {**kept, "OMP_NUM_THREADS": "1", "CLIPSEARCH_RUNTIME": "torch", "CLIPSEARCH_LIGHT_TEXT": "false"}


def new_shelf(base: Path, name: str) -> Shelf:
    """A shelf with pictures and a model, and nothing indexed yet; ``base`` is pytest's folder of the session."""
    shelf = Shelf(base / name)
    shelf.pictures.mkdir(parents=True)
    for number, picture in enumerate(pictures(PICTURES, (48, 40))):
        picture.save(shelf.pictures / f"picture-{number}.png")
    write_model_folder(shelf.folder / "model", make_checkpoints(base), "small-clip")
    return shelf


@cache
def indexed_shelf(base: Path) -> Shelf:
    """The shelf that tests share and none may change: pictures, one with a strange name, one that is damaged."""
    shelf = new_shelf(base, "shared-shelf")
    pictures(PICTURES + 1, (64, 40))[-1].save(shelf.pictures / "strange.jpg")
    os.rename(shelf.pictures / "strange.jpg", os.fsencode(shelf.pictures) + b"/" + STRANGE)
    (shelf.pictures / "damaged.jpg").write_bytes(b"no picture at all")
    done = shelf.call("index", shelf.pictures, "--json")
    assert done.code == 0, done.err
    assert len(done.answer["added"]) == PICTURES + 1
    return shelf
