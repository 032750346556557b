"""What Prometheus is told at ``/metrics``: one registry for each app; knows the names and labels of every series.

Routes are told by their template and errors by their stable code, so that no request can make a series of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from clipsearch import __version__
from clipsearch.errors import ClipSearchError
from clipsearch.inspecting import LibraryCounts, count_library
from clipsearch.library import Library
from clipsearch.stages import Stage
from clipsearch.web.slots import WorkSlots

MEDIA_TYPE = CONTENT_TYPE_LATEST
UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Statuses by which the server keeps itself from work, each with the problem's code as its reason.
REJECTIONS = frozenset({401, 403, 413, 421, 429, 503})
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_SLOT_SERIES: tuple[tuple[str, str, Callable[[WorkSlots], float]], ...] = (
    ("queue_depth", "Requests that wait for a work slot.", lambda slots: slots.waiting),
    ("queue_places", "Requests that may wait for a work slot.", lambda slots: slots.queue),
    ("slots_in_use", "Work slots that are held.", lambda slots: slots.in_use),
    ("slots", "Work slots there are.", lambda slots: slots.slots),
)


class Measurements:
    """The series of one app. Safe to share between threads."""

    def __init__(self, library: Library, slots: WorkSlots, search_slots: WorkSlots) -> None:
        self._registry = registry = CollectorRegistry()
        # Apart, for a histogram is many series for each of its labels' values.
        self._answered = Counter(
            "clipsearch_requests_total", "Requests that were answered, by the status of their answer.",
            ("route", "method", "status"), registry=registry,
        )  # fmt: skip
        self._requests = Histogram(
            "clipsearch_request_seconds", "Time from a request's arrival at a thread to its answer.",
            ("route", "method"), buckets=_REQUEST_BUCKETS, registry=registry,
        )  # fmt: skip
        self._embeddings = Histogram(
            "clipsearch_embed_seconds", "Time in the model for one request, waiting for company included.",
            ("kind",), buckets=_STAGE_BUCKETS, registry=registry,
        )  # fmt: skip
        self._searches = Histogram(
            "clipsearch_search_seconds", "Time in the vector index for one batch of searches.",
            buckets=_STAGE_BUCKETS, registry=registry,
        )  # fmt: skip
        self._rejected = Counter(
            "clipsearch_rejected_total", "Requests that were turned away, by the code of their problem.",
            ("reason",), registry=registry,
        )  # fmt: skip
        build = Gauge("clipsearch_build_info", "Always 1; which version runs.", ("version",), registry=registry)
        build.labels(__version__).set(1)
        self._watch_slots({"pictures": slots, "searches": search_slots})
        for kind in ("text", "image"):
            self._embeddings.labels(kind)
        ProcessCollector(registry=registry)
        registry.register(_LibraryCollector(library))

    def _watch_slots(self, kinds: dict[str, WorkSlots]) -> None:
        for name, text, tell in _SLOT_SERIES:
            gauge = Gauge(f"clipsearch_{name}", text, ("kind",), registry=self._registry)
            for kind, slots in kinds.items():
                gauge.labels(kind).set_function(partial(tell, slots))

    def request(self, route: str, method: str, status: int, seconds: float, code: str = "") -> None:
        """One request was answered; ``code`` is its problem's, where it was refused."""
        told = method if method in _METHODS else "other"
        self._answered.labels(route, told, str(status)).inc()
        self._requests.labels(route, told).observe(seconds)
        if status in REJECTIONS:
            self._rejected.labels(code or str(status)).inc()

    def refused(self) -> None:
        """One request was not let in, for want of a slot or a thread."""
        self._rejected.labels("busy").inc()

    def stage(self, stage: Stage, seconds: float) -> None:
        """One stage of a request ended."""
        if stage in {"embed_text", "embed_image"}:
            self._embeddings.labels(stage.removeprefix("embed_")).observe(seconds)
        elif stage == "search":
            self._searches.observe(seconds)

    def page(self) -> bytes:
        """Every series, in Prometheus' text format."""
        return generate_latest(_WithoutBirthdays(self._registry))


@dataclass(eq=False)
class _WithoutBirthdays(Collector):
    """The series without the times at which each was made, which would be one more for each."""

    registry: CollectorRegistry

    def collect(self) -> Iterable[Metric]:
        """The series as they stand."""
        for family in self.registry.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family


@dataclass(eq=False)
class _LibraryCollector(Collector):
    """Counts the library when it is asked; what cannot be counted now is left out, and the rest is told."""

    library: Library

    def describe(self) -> Iterable[Metric]:
        """The series without their values."""
        return self._families(LibraryCounts(images={}, lag_rows={}, runs={}))

    def collect(self) -> Iterable[Metric]:
        """The series as they stand."""
        try:
            counts = count_library(self.library)
        except ClipSearchError:
            return []
        return self._families(counts)

    def _families(self, counts: LibraryCounts) -> list[GaugeMetricFamily]:
        found = []
        for name, text, label, values in (
            ("images", "Images of a collection.", "collection", counts.images),
            ("index_lag_rows", "Rows that a collection's index in memory has yet to read.", "collection",
             counts.lag_rows),
            ("jobs", "Indexing and embedding runs, by state.", "state", counts.runs),
        ):  # fmt: skip
            family = GaugeMetricFamily(f"clipsearch_{name}", text, labels=[label])
            for key, value in values.items():
                family.add_metric([key], value)
            found.append(family)
        return found
