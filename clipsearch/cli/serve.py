"""``clipsearch serve``: the web page and the HTTP API; knows which addresses only this machine can reach."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import click

from clipsearch.cli.options import encoder_options, library_options, model_option, open_library, settings_from_flags


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 where nothing is said.")
@click.option("--port", type=int, metavar="N", help="Which port; 8000 where nothing is said, 0 for a free one.")
@click.option("--allow-remote", is_flag=True, help="Listen where other machines can reach it.")
@click.option(
    "--ready-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Written once searches can be answered, not before the model is loaded (see /readyz); holds its address.",
)  # fmt: skip
@model_option
@encoder_options
@library_options
def serve_command(host: str | None, port: int | None, allow_remote: bool, ready_file: Path | None) -> None:
    """Start the web page and the API.

    The page is at /, the API at /api/v1, its description at /docs.
    """
    settings = settings_from_flags(host=host, port=port)
    if not _is_loopback(settings.host) and not allow_remote:
        raise click.UsageError(
            f"{settings.host} can be reached from other machines, and this version asks nobody for a key: whoever "
            "reaches it can see, index and delete. If that is meant, say --allow-remote."
        )
    from clipsearch.web import serve

    with open_library(may_upgrade=False, host=host, port=port) as library:
        serve(library, settings.host, settings.port, ready_file=ready_file)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return host.lower() == "localhost"
