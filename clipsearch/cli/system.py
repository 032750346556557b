"""``clipsearch status``, ``failures``, ``doctor``, ``db`` and ``config``: how the library is, and what it was told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import ERROR
from clipsearch.cli.collections import print_collections
from clipsearch.cli.options import (
    collection_option,
    encoder_options,
    flags_of,
    json_option,
    library_options,
    model_option,
    open_library,
    settings_from_flags,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import DoctorReport
    from clipsearch.config import Settings


@click.command("status")
@json_option
@library_options
def status_command(as_json: bool) -> None:
    """Show the library at a glance."""
    from clipsearch.inspecting import status

    with open_library() as library:
        report = status(library)
    if as_json:
        print_json(report)
        return
    say(f"clipsearch {report.version}")
    say(f"data folder:  {shown(report.data_dir)}")
    say(f"database:     {shown(report.database)} (schema {report.schema_revision})")
    say(f"label sets:   {report.label_sets:,}")
    for model in report.models:
        say(f"model:        {shown(model.name)} ({model.dimension} dimensions, {model.embeddings:,} embeddings)")
    if report.collections:
        say()
        print_collections(report.collections)
    else:
        note("there is no collection yet; index a folder: clipsearch index FOLDER")


@click.command()
@collection_option
@json_option
@library_options
def failures(collection: str | None, as_json: bool) -> None:
    """List the files that could not be indexed.

    With the reasons. To try them again: clipsearch index --retry-failed
    """
    from clipsearch.browsing import list_failures

    with open_library() as library:
        name = library.collection(collection).name
        found = list_failures(library, collection=collection)
    if as_json:
        print_json({"failures": [one.model_dump(mode="json") for one in found], "total": len(found)})
    elif found:
        rows = [
            (path_shown(one.uri), one.reason, str(one.attempts), f"{one.last_failed_at:%Y-%m-%d %H:%M}")
            for one in found
        ]
        print_table(("file", "reason", "tries", "last tried"), rows, numbers=("tries",))
        where = f" -c {collection}" if collection else ""
        note(f"{counted(len(found), 'file')}; to try again: clipsearch index --retry-failed{where}")
    else:
        note(f"no file of the collection {shown(name)!r} failed")


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended: nothing is lost that indexing does not bring.")
@json_option
@library_options
def doctor(repair: bool, as_json: bool) -> None:
    """Compare files, database and indexes.

    The exit code is 1 when something is wrong.
    """
    from clipsearch.examining import examine

    with open_library() as library:
        report = examine(library, repair=repair)
    if as_json:
        print_json(report)
    else:
        _tell_findings(report, repair)
    if not report.healthy:
        click.get_current_context().exit(ERROR)


def _tell_findings(report: DoctorReport, repair: bool) -> None:
    for finding in report.findings:
        say(f"{finding.severity}: {shown(finding.message)}{' (repaired)' if finding.repaired else ''}")
        for subject in finding.subjects:
            say(f"    {path_shown(subject)}")
    looked = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in report.checked.items())
    say(f"{'all is well' if report.healthy else 'something is wrong'}; looked at: {looked}")
    if not report.healthy and not repair:
        note("to mend what can be mended: clipsearch doctor --repair")


@click.group()
def db() -> None:
    """Show and upgrade the database's schema."""


@db.command("current")
@json_option
@library_options
def current(as_json: bool) -> None:
    """Show the schema that the database stands at, and the one that this version needs."""
    from clipsearch.database import Database
    from clipsearch.database.migrating import current_revision, newest_revision

    settings = settings_from_flags()
    found = None
    # To look must not make a library.
    if not isinstance(settings.database, Path) or settings.database.exists():
        database = Database(settings.database)
        try:
            found = current_revision(database)
        finally:
            database.close()
    newest = newest_revision()
    if as_json:
        print_json({"current": found, "newest": newest})
    else:
        say(f"{found or 'no schema yet'} (this version needs {newest})")
    if found != newest:
        note("to bring it up to date: clipsearch db upgrade")


@db.command("upgrade")
@json_option
@library_options
def upgrade_command(as_json: bool) -> None:
    """Bring the database to the schema that this version needs; an embedded one is copied aside first."""
    from clipsearch.database import Database
    from clipsearch.database.migrating import upgrade

    database = Database(settings_from_flags().database)
    try:
        before, after = upgrade(database)
    finally:
        database.close()
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        say(f"the database is up to date: {after}")
    else:
        say(f"the database was upgraded: {before or 'nothing'} → {after}")


@click.group()
def config() -> None:
    """Show the settings and where they come from."""


@config.command("show")
@json_option
@model_option
@encoder_options
@library_options
def show(as_json: bool) -> None:
    """Show every setting, its value and where it comes from."""
    from clipsearch.environment import config_file

    settings = settings_from_flags()
    values = settings.model_dump(mode="json")
    values["database_url"] = _masked(settings)
    origins = {name: _origin(name, settings) for name in values}
    if as_json:
        print_json({"settings": values, "from": origins})
        return
    rows = [(name, _written(value), origins[name]) for name, value in values.items()]
    print_table(("setting", "value", "from"), rows)
    note(f"settings file: {shown(str(config_file()))}{'' if config_file().is_file() else ' (not there)'}")


def _masked(settings: Settings) -> str:
    from clipsearch.database import Database

    database = Database(settings.database)
    try:
        return database.safe_url
    finally:
        database.close()


def _origin(name: str, settings: Settings) -> str:
    if name in flags_of(click.get_current_context()):
        return "flag"
    if any(one.upper() == f"CLIPSEARCH_{name.upper()}" for one in os.environ):
        return "environment"
    return "file" if name in settings.model_fields_set else "default"


def _written(value: Any) -> str:
    if isinstance(value, list):
        return os.pathsep.join(map(str, value))
    return "" if value is None else str(value)
