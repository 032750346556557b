"""``clipsearch status``, ``failures``, ``doctor`` and ``db``: how the library is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import ERROR
from clipsearch.cli.collections import print_collections
from clipsearch.cli.options import (
    collection_option,
    json_option,
    library_options,
    open_library,
    settings_from_flags,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, print_table, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import DoctorReport


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
    from clipsearch.following import list_failures

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
