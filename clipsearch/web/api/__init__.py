"""The routes under ``/api/v1``, one module for each subject."""

from __future__ import annotations

from clipsearch.web.binding import use_messages

# Before any of the modules is imported: a route keeps the adapter that APIFlask knows when it is declared.
use_messages()
