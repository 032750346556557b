"""The route of the page that shows the API to people."""

from __future__ import annotations

from typing import cast

from apiflask import APIBlueprint, APIFlask
from flask import current_app, render_template, request

from clipsearch import __version__
from clipsearch.web.api_page import draw_page
from clipsearch.web.document import Responses
from clipsearch.web.documentation_messages import DocumentationArgs

routes = APIBlueprint("documentation", __name__, tag="Status", url_prefix="/api/v1")


PAGE: Responses = {200: {"description": "A page for people", "content": {"text/html": {"schema": {}}}}}


@routes.get("/docs")
@routes.input(DocumentationArgs, location="query")
@routes.doc(responses=PAGE)
def show_documentation(query_data: DocumentationArgs) -> str:
    """This description of the API, as a page for people."""
    app = cast(APIFlask, current_app)
    page = draw_page(app, request.host_url.rstrip("/"), query_data.find)
    return render_template("api.html", view="api", version=__version__, page=page, find=query_data.find)
