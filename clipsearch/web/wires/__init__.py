"""The ways in that clients of other systems know, each registered only when the settings name it.

They stand beside the API and are no part of it: what they take and give is the other systems' to say. What goes
wrong is told in those systems' way, with the right status.
"""

from __future__ import annotations

import logging

from apiflask import APIFlask

from clipsearch.compat import open_networks
from clipsearch.config import Settings
from clipsearch.errors import ConfigError
from clipsearch.web.access import find_key_by, open_when
from clipsearch.web.greeting import greet_with
from clipsearch.web.wires import clip_retrieval, immich, lambda_classifier, openai, roboflow, weaviate
from clipsearch.web.wires.admission import key_of_wire, opening

log = logging.getLogger(__name__)

BLUEPRINTS = {
    "lambda": lambda_classifier.routes,
    "roboflow": roboflow.routes,
    "clip-retrieval": clip_retrieval.routes,
    "immich": immich.routes,
    "openai": openai.routes,
    "weaviate": weaviate.routes,
}


def register_wires(app: APIFlask, settings: Settings) -> None:
    """Serve the wires that the settings name. Raises ConfigError for one that is opened and not served."""
    for name in settings.compat:
        app.register_blueprint(BLUEPRINTS[name])
    if settings.compat:
        open_when(app, opening(settings))
        find_key_by(app, key_of_wire)
    if "immich" in settings.compat:
        greet_with(app, message="Immich ML")
    networks = open_networks(settings.compat_open)
    for name, several in networks.items():
        log.info("the wire %s asks no key of %s", name, ", ".join(map(str, several)))
    shut = [name for name in networks if name not in settings.compat]
    if shut:
        raise ConfigError(
            f"CLIPSEARCH_COMPAT_OPEN opens {', '.join(shut)}, which is not served; name it in CLIPSEARCH_COMPAT too"
        )
