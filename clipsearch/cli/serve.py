"""``clipsearch serve``: the web page and the HTTP API."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import encoder_options, library_options, model_option, open_library
from clipsearch.cli.printing import note, shown


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 where nothing is said.")
@click.option("--port", type=int, metavar="N", help="Which port; 8000 where nothing is said, 0 for a free one.")
@click.option(
    "--require-key", type=click.Choice(["auto", "always", "never"]),
    help="Whether requests need an API key; auto asks for one where other machines reach the server.",
)  # fmt: skip
@click.option(
    "--ready-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Written once searches can be answered, not before the model is loaded (see /readyz); holds its address.",
)  # fmt: skip
@click.option(
    "--compat", multiple=True, metavar="NAME",
    help="Serve this wire of another system as well: lambda, roboflow, clip-retrieval, immich, openai, weaviate.",
)  # fmt: skip
@model_option
@encoder_options
@library_options
def serve_command(
    host: str | None, port: int | None, require_key: str | None, ready_file: Path | None, compat: tuple[str, ...]
) -> None:
    """Start the web page and the API.

    The page is at /, the API at /api/v1, its description at /api/v1/docs. Where other machines can reach the server
    it answers to API keys only, and starts when there is one: clipsearch keys create NAME
    """
    from clipsearch.web import serve

    flags = {"host": host, "port": port, "require_key": require_key, "compat": ",".join(compat) or None}
    with open_library(may_upgrade=False, **flags) as library:
        settings = library.settings
        for root in settings.roots:
            if not root.is_dir():
                note(f"warning: the folder {shown(str(root))} (CLIPSEARCH_ROOTS) is not there; nothing can be indexed "
                     "from it")  # fmt: skip
        serve(library, settings.host, settings.port, ready_file=ready_file)
