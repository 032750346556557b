"""Whether searches can be answered: loads model and index in the background, and knows why where that failed."""

from __future__ import annotations

import logging
import threading
import time

from clipsearch.database.migrating import check_schema
from clipsearch.errors import ClipSearchError, CollectionNotFound
from clipsearch.library import Library
from clipsearch.web.replies import Readiness

log = logging.getLogger(__name__)

# A model that could not be had may be there later: its files copied, the network back.
RETRY_SECONDS = 30.0
FINE = "ok"
# Where a server says how it is; asked by machines all the time, and answered without a key, a limit and a line.
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


class Watch:
    """The state of one server: starting, ready, not ready for a reason, or draining."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._last_try = float("-inf")
        self._reasons = {"model": "is being loaded", "index": "is being loaded"}
        self._draining = threading.Event()

    @property
    def draining(self) -> bool:
        """Whether the server is on its way out and takes no more work."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Say from now on that the server is not ready."""
        self._draining.set()

    def start(self) -> None:
        """Load in the background what is not loaded, unless that is going on or has just failed."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            if time.monotonic() - self._last_try < RETRY_SECONDS:
                return
            self._last_try = time.monotonic()
            self._thread = threading.Thread(target=self._load, name="loading", daemon=True)
            self._thread.start()

    def state(self) -> Readiness:
        """How it stands now."""
        if self.draining:
            return Readiness(ready=False, database=FINE, model="the server is stopping", index=FINE)
        try:
            check_schema(self._library.database)
            name = self._model_name()
        except ClipSearchError as error:
            return Readiness(ready=False, database=error.message, model="not looked at", index="not looked at")
        loaded = self._library.loaded_encoder(name) is not None
        if not loaded and self._reasons["model"] == FINE:
            self._reasons["model"] = "was switched to another one, which is being loaded"
            self._last_try = float("-inf")
        model = FINE if loaded else self._reasons["model"]
        index = self._reasons["index"]
        ready = model == FINE and index == FINE
        if not ready:
            self.start()
        return Readiness(ready=ready, database=FINE, model=model, index=index)

    def _load(self) -> None:
        # First the index, which is quick: classification of what is stored and browsing need no model.
        for what, load in (("index", self._load_index), ("model", self._load_model)):
            try:
                load()
                self._reasons[what] = FINE
            except ClipSearchError as error:
                log.warning("the %s could not be loaded: %s", what, error.message)
                self._reasons[what] = error.message
            except Exception as error:
                log.exception("the %s could not be loaded", what)
                self._reasons[what] = f"could not be loaded ({type(error).__name__}); the reason stands in the log"

    def _load_index(self) -> None:
        try:
            row = self._library.collection()
        except CollectionNotFound:
            return
        self._library.index(row)

    def _load_model(self) -> None:
        self._library.encoder(self._model_name())

    def _model_name(self) -> str:
        from clipsearch.encoder.names import parse_model_name

        try:
            return self._library.collection().model_name
        except CollectionNotFound:
            return parse_model_name(self._library.settings.model).name
