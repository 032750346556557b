"""Which pages of other sites may use the API: none, unless the settings name their origins. Never with cookies."""

from __future__ import annotations

import re

from apiflask import APIFlask
from flask_cors import CORS

from clipsearch.config import Settings
from clipsearch.errors import ConfigError

SENT = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Api-Key", "X-Request-Id")
TOLD = ("ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-Id")
PREFLIGHT_SECONDS = 600


def share_with(app: APIFlask, settings: Settings, *, key_required: bool) -> None:
    """Answer the pages of the origins that are set. Raises ConfigError for ``*`` where no key is needed."""
    if not settings.cors_origins:
        return
    if "*" in settings.cors_origins and not key_required:
        raise ConfigError("CLIPSEARCH_CORS_ORIGINS is *, and no key is needed here: any page of the web could read and "
                          "change everything; name the origins, or set CLIPSEARCH_REQUIRE_KEY=always")  # fmt: skip
    # As patterns of our own: what looks like one to the extension, as an address in brackets, would be taken for one.
    exactly = [re.compile(re.escape(origin) + r"\Z", re.IGNORECASE) for origin in settings.cors_origins]
    everyone = "*" in settings.cors_origins
    CORS(
        app,
        origins="*" if everyone else exactly,
        send_wildcard=everyone,
        always_send=False,
        allow_headers=list(SENT),
        expose_headers=list(TOLD),
        supports_credentials=False,
        max_age=PREFLIGHT_SECONDS,
    )
