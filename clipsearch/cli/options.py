"""The options that several commands share, and the way from flags to settings and an open library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from clipsearch.config import Settings
    from clipsearch.library import Library

_FLAGS = "clipsearch.cli.flags"
Function = TypeVar("Function", bound=Callable[..., Any])


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a flag as a setting; one that stands after the command wins over one before it."""
    if value is not None and parameter.name and not context.resilient_parsing:
        flags_of(context)[parameter.name] = value


def _setting(*names: str, **options: Any) -> Callable[[Function], Function]:
    return click.option(*names, expose_value=False, callback=_keep, **options)


data_dir_option = _setting(
    "--data-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the library is kept.",
)
debug_option = _setting(
    "--debug", is_flag=True, default=None, help="Show where an error happened, and a log of everything."
)
model_option = _setting("--model", metavar="NAME", help="The model of a collection that is made.")
_database_option = _setting("--database-url", metavar="URL", help="A PostgreSQL database, as SQLAlchemy names it.")
_device_option = _setting("--device", metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")
_dtype_option = _setting(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16", "int8"]), help="Number type of the model."
)
_server_option = _setting(
    "--server/--no-server", "use_server", default=None, help="Whether to ask a running clipsearch serve."
)
batch_size_option = _setting("--batch-size", type=int, metavar="N", help="Images encoded at once.")
decode_threads_option = _setting("--decode-threads", type=int, metavar="N", help="Threads that decode images.")
collection_option = click.option(
    "--collection", "-c", metavar="NAME", help="The collection; 'default' where none is named."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
replace_option = click.option("--replace", is_flag=True, help="Put it in the place of what has that name already.")


def library_options(command: Function) -> Function:
    """Which library: --data-dir and --database-url."""
    return data_dir_option(_database_option(command))


def encoder_options(command: Function) -> Function:
    """How the model runs: --device and --dtype."""
    return _device_option(_dtype_option(command))


def server_option(command: Function) -> Function:
    """Whether a running server may answer: --no-server."""
    return _server_option(command)


def filter_options(command: Function) -> Function:
    """Which images may answer; they arrive as keyword arguments that ``filters_from`` takes."""
    for decorator in reversed(
        [
            click.option("--path-prefix", metavar="PATH", help="Only files whose path begins so."),
            click.option("--glob", "path_glob", metavar="PATTERN", help="Only files like this: 2024/*.jpg"),
            click.option("--from", "taken_from", metavar="DATE", help="Taken on this day or later: 2024-05-31"),
            click.option("--to", "taken_to", metavar="DATE", help="Taken on this day or earlier."),
            click.option("--min-width", type=int, metavar="N", help="At least this wide, in pixels."),
            click.option("--max-width", type=int, metavar="N", help="At most this wide."),
            click.option("--min-height", type=int, metavar="N", help="At least this high."),
            click.option("--max-height", type=int, metavar="N", help="At most this high."),
            click.option("--format", "formats", multiple=True, metavar="NAME", help="Only JPEG, PNG, …"),
            click.option(
                "--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="Only images said to be so."
            ),
            click.option("--tag", "tags", multiple=True, metavar="SET:LABEL", help="Only so tagged; SET:- for none."),
            click.option("--min-tag-score", type=float, metavar="X", help="Tags from this cosine on."),
            click.option("--min-tag-probability", type=float, metavar="P", help="Tags from this probability on."),
        ]
    ):
        command = decorator(command)
    return command


def flags_of(context: click.Context) -> dict[str, Any]:
    """The settings given as flags so far."""
    flags: dict[str, Any] = context.meta.setdefault(_FLAGS, {})
    return flags


def debugging() -> bool:
    """Whether the person asked for tracebacks."""
    import sys

    # Also after the context is gone: an error may come from the parsing itself.
    return "--debug" in sys.argv[1:] or os.environ.get("CLIPSEARCH_LOG_LEVEL", "").lower() == "debug"


def settings_from_flags(**more: Any) -> Settings:
    """The settings as flags, environment and file give them; ``more`` wins. Raises ConfigError."""
    from clipsearch.config import read_settings
    from clipsearch.log_lines import start_log

    flags = dict(flags_of(click.get_current_context()))
    if flags.pop("debug", False):
        flags["log_level"] = "debug"
    settings = read_settings(**{**flags, **more})
    start_log(settings.log_level, settings.log_format)
    return settings


@contextmanager
def open_library(*, may_upgrade: bool = True, **more: Any) -> Iterator[Library]:
    """The library that the flags name, open while a block runs."""
    from clipsearch.library import Library

    with Library.open(settings_from_flags(**more), may_upgrade=may_upgrade) as library:
        yield library


def check_model(library: Library, collection: str | None) -> None:
    """Raises ModelMismatch when --model names another model than the one that the collection has."""
    from clipsearch.encoder.names import parse_model_name
    from clipsearch.errors import CollectionNotFound, ModelMismatch

    wanted = flags_of(click.get_current_context()).get("model")
    if wanted is None:
        return
    try:
        row = library.collection(collection)
    except CollectionNotFound:
        return
    if parse_model_name(wanted).name != row.model_name:
        raise ModelMismatch(
            f"the collection {row.name!r} is of the model {row.model_name}, and embeddings of two models do not "
            "compare; leave out --model, or choose another collection: --collection NAME"
        )
