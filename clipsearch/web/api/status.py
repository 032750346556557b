"""Routes that say how the server is: status, alive, ready."""

from __future__ import annotations

from apiflask import APIBlueprint

from clipsearch.answers import StatusReport
from clipsearch.inspecting import status
from clipsearch.web.context import context
from clipsearch.web.document import also
from clipsearch.web.replies import Alive, Readiness

routes = APIBlueprint("status", __name__, tag="Status")


@routes.get("/api/v1/status")
@routes.output(StatusReport)
def show_status() -> StatusReport:
    """The library at a glance."""
    return status(context().library)


@routes.get("/healthz")
@routes.output(Alive)
def healthz() -> Alive:
    """Whether the process answers."""
    return Alive()


@routes.get("/readyz")
@routes.output(Readiness)
@routes.doc(responses=also(503, "Not ready, and why", Readiness))
def readyz() -> tuple[Readiness, int]:
    """Whether searches can be answered: schema, model and index are there."""
    state = context().watch.state()
    return state, 200 if state.ready else 503
