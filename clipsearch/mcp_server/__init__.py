"""Lets assistants that speak the Model Context Protocol look through a library; the only room with mcp."""

from __future__ import annotations

from clipsearch.mcp_server.serving import LONGEST_IMAGE, make_server, serve_http, serve_stdio

__all__ = ["LONGEST_IMAGE", "make_server", "serve_http", "serve_stdio"]
