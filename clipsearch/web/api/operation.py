"""Routes for those who operate a server: what Prometheus reads."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response

from clipsearch.web.context import context
from clipsearch.web.measurements import MEDIA_TYPE
from clipsearch.web.scopes import needs

routes = APIBlueprint("operation", __name__, tag="Status")


@routes.get("/metrics")
@routes.doc(hide=True)
@needs("admin")
def metrics() -> Response:
    """Every series of this server, in Prometheus' text format."""
    return Response(context().measurements.page(), content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
