"""Keeps the light text encoders of a library until the full ones are there; alone knows when one may stand in."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipsearch.encoder.light_text import LightTextEncoder
    from clipsearch.model import Model


class LightEncoders:
    """The exported text towers in the folder ``runtimes``: opened, exported and given up. Thread-safe.

    There are none with ``wanted`` false, nor for a ``device`` or ``dtype``, as the settings name them, that an
    exported tower does not stand for: whether such a one can be had here is seen when the full encoder is opened.
    """

    def __init__(self, runtimes: Path, *, wanted: bool, device: str, dtype: str) -> None:
        self._runtimes = runtimes
        self._wanted = wanted
        self._may_stand_in = wanted and device in ("auto", "cpu") and dtype in ("auto", "float32", "bfloat16")
        self._held: dict[str, LightTextEncoder] = {}
        self._superseded: set[str] = set()
        self._lock = threading.Lock()
        self._export_lock = threading.Lock()

    @property
    def may_stand_in(self) -> bool:
        """Whether texts may be embedded by any of them."""
        return self._may_stand_in

    def find(self, model: Model) -> LightTextEncoder | None:
        """The tower of the very weights of ``model``; None where there is none, or the full encoder is there."""
        if not self._may_stand_in:
            return None
        from clipsearch.encoder.light_text import open_light_text

        with self._lock:
            if model.name in self._superseded:
                return None
            light = self._held.get(model.name)
            if light is None or light.model.fingerprint != model.fingerprint:
                light = open_light_text(self._runtimes, model)
                if light is not None:
                    self._held[model.name] = light
            return light

    def supersede(self, name: str) -> None:
        """Give up the tower of this model for good: the full encoder is there, and holds the same weights."""
        with self._lock:
            self._superseded.add(name)
            self._held.pop(name, None)

    def keep(self, model: Model) -> bool:
        """Export the tower of ``model``, if need be; whether it stands. What goes wrong is said in the log."""
        if not self._wanted or model.fingerprint is None:
            return False
        from clipsearch.encoder.text_keeping import keep_text_runtime

        with self._export_lock:  # one at a time, and each thread finds what the one before it has kept
            return keep_text_runtime(model.name, model.fingerprint, self._runtimes)
