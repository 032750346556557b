"""The commands by name, each imported when it is called; knows in which module each one lives."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from clipsearch.cli.options import data_dir_option, debug_option

_HOMES = {
    "index": "index:index",
    "add": "add:add",
    "search": "search:search_command",
    "similar": "search:similar",
    "embed": "embed:embed",
    "classify": "classify:classify",
    "labels": "labels:labels",
    "tags": "tags:tags",
    "review": "review:review",
    "evaluate": "evaluate:evaluate",
    "collections": "collections:collections",
    "images": "images:images",
    "export": "export:export",
    "import": "transfer:import_group",
    "backup": "transfer:backup",
    "restore": "transfer:restore_command",
    "models": "models:models",
    "status": "system:status_command",
    "failures": "system:failures",
    "doctor": "system:doctor",
    "db": "system:db",
    "config": "configuration:config",
    "serve": "serve:serve_command",
    "mcp": "mcp:mcp_command",
    "keys": "keys:keys",
    "demo": "demo:demo",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def __init__(self, *args: Any, homes: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._homes:
            return None
        module, name = self._homes[cmd_name].split(":")
        command = getattr(import_module(f"clipsearch.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101  for the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self._homes and not name.startswith("-"):
            close = difflib.get_close_matches(name, self._homes, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)


def _show_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from clipsearch import __version__

        click.echo(f"clipsearch {__version__}")
        context.exit()


@click.group(
    cls=LazyGroup,
    homes=_HOMES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 error, 2 usage, 3 nothing found. Every setting can also be given as "
    "CLIPSEARCH_NAME in the environment or in clipsearch.toml: clipsearch config show.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version."
)
@data_dir_option
@debug_option
def cli() -> None:
    """Find, sort and label a pile of images by meaning.

    \b
    clipsearch demo                        see it work, with pictures it draws itself
    clipsearch index ~/Pictures            take a folder in
    clipsearch search "a dog on a beach"   by words
    clipsearch search ./dog.jpg            by a picture
    """
