"""``clipsearch mcp``: lets an assistant look through the library."""

from __future__ import annotations

import click

from clipsearch.cli.options import encoder_options, library_options, open_library

PORT = 8765


@click.command("mcp")
@click.option("--allow-writes", is_flag=True, help="Also let it note attributes of images.")
@click.option(
    "--transport", type=click.Choice(["stdio", "http"]), default="stdio", show_default=True,
    help="How the assistant speaks to it: as its child, or at http://127.0.0.1:PORT/mcp.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65_535), default=PORT, show_default=True, help="With --transport http.")
@encoder_options
@library_options
def mcp_command(allow_writes: bool, transport: str, port: int) -> None:
    """Let an assistant search, look at and classify the images (Model Context Protocol).

    It cannot change anything, unless --allow-writes lets it note attributes. The assistant starts this command itself:
    give it as its command, with the arguments mcp and --data-dir DIR.
    """
    from clipsearch.errors import ConfigError

    try:
        from clipsearch.mcp_server import serve_http, serve_stdio
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        raise ConfigError("this needs the extra mcp: pip install -e '.[mcp]' in the clone") from error
    with open_library(may_upgrade=False) as library:
        if transport == "http":
            serve_http(library, port, allow_writes=allow_writes)
        else:
            serve_stdio(library, allow_writes=allow_writes)
