"""``clipsearch index``: bring a collection in step with folders and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import (
    batch_size_option,
    check_model,
    collection_option,
    decode_threads_option,
    encoder_options,
    json_option,
    library_options,
    model_option,
    open_library,
)
from clipsearch.cli.printing import counted, note, path_shown, print_json, say, shown

if TYPE_CHECKING:
    from clipsearch.answers import FailedFile, IndexingReport
    from clipsearch.library import Library

_GROUPS = ("added", "changed", "moved", "unchanged", "removed", "failed")
# More names than this say nothing to a person; --json has them all.
_NAMED = 20


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path())
@collection_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--retry-failed", is_flag=True, help="Try files again that failed before; without PATH, wherever.")
@click.option("--allow-empty", is_flag=True, help="A folder that is empty or gone is meant so: forget its images.")
@json_option
@model_option
@batch_size_option
@decode_threads_option
@encoder_options
@library_options
def index(
    paths: tuple[str, ...],
    collection: str | None,
    dry_run: bool,
    retry_failed: bool,
    allow_empty: bool,
    as_json: bool,
) -> None:
    """Take in the images of folders and files.

    New and changed ones are encoded, renamed ones taken over, lost ones leave the collection. Files that cannot
    be read are noted and passed over (clipsearch failures). A run that is cut short goes on where it stopped.
    """
    if not paths and not retry_failed:
        raise click.UsageError("name a folder or a file to index")
    if "" in paths:  # as from a variable that is not set
        raise click.UsageError("a path is empty; for the working folder, say .")
    from clipsearch.cli.progress import progress_shown
    from clipsearch.cli.tags import refresh as refresh_tags
    from clipsearch.indexing import IndexingOptions, index_source

    options = IndexingOptions(dry_run=dry_run, retry_failed=retry_failed, allow_empty=allow_empty)
    with open_library() as library:
        check_model(library, collection)
        sources = _sources(paths, allow_empty) if paths else _known_sources(library, collection)
        reports = []
        for source in sources:
            with progress_shown(shown(source.name) if len(sources) > 1 else "") as tell:
                reports.append(index_source(library, source, collection=collection, options=options, on_progress=tell))
        if reports and not dry_run:
            refresh_tags(library, collection)
    if not reports:
        note("nothing was ever indexed into this collection")
    elif as_json:
        print_json(_merged(reports))
    else:
        _tell(_merged(reports), collection)


def _sources(paths: Sequence[str], allow_empty: bool) -> list[Path]:
    """The paths, each once and none that lies under another: no file may be reported twice."""
    from clipsearch.browsing import outermost
    from clipsearch.errors import SourceNotFound
    from clipsearch.images import absolute

    whole = [Path(absolute(os.path.expanduser(path))) for path in paths]
    for path in whole:
        # Before anything is begun: the third of five folders should not be found missing after an hour.
        if not allow_empty and not os.path.exists(path):
            raise SourceNotFound(f"there is no folder or file {path}")
    return outermost(whole)


def _known_sources(library: Library, collection: str | None) -> list[Path]:
    """Where files may have failed; a source that is gone is no reason not to look at the others."""
    from clipsearch.browsing import known_sources
    from clipsearch.errors import SourceNotFound

    there, missing = known_sources(library, collection=collection)
    for path in missing:
        note(f"passed over, as it is not there: {path_shown(os.fspath(path))}")
    if missing and not there:
        raise SourceNotFound("nothing that was indexed into this collection is there any more")
    return there


def _merged(reports: Sequence[IndexingReport]) -> IndexingReport:
    last = reports[-1]
    groups = {name: [one for report in reports for one in getattr(report, name)] for name in _GROUPS}
    return last.model_copy(
        update={
            **groups,
            "source": ", ".join(report.source for report in reports),
            "encoded": sum(report.encoded for report in reports),
            "seconds": round(sum(report.seconds for report in reports), 3),
        }
    )


def _tell(report: IndexingReport, collection: str | None) -> None:
    counts = {name: len(getattr(report, name)) for name in _GROUPS}
    if report.dry_run:
        for sign, name in (("+", "added"), ("~", "changed"), (">", "moved"), ("-", "removed")):
            _name_some(sign, getattr(report, name))
        say("would be: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
        return
    files = sum(counts.values()) - counts["removed"]
    rate = f" ({report.encoded / report.seconds:.0f} a second)" if report.encoded and report.seconds else ""
    say(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    say(
        f"{counted(files, 'file')} in {report.seconds:.1f} s, {report.encoded:,} encoded{rate}; "
        f"collection {shown(report.collection)!r}, model {shown(report.model)}"
    )
    if report.failed:
        _tell_failed(report.failed, collection)


def _tell_failed(failed: Sequence[FailedFile], collection: str | None) -> None:
    for one in failed[:_NAMED]:
        note(f"! {path_shown(one.uri)}: {shown(one.reason)}")
    where = f" -c {collection}" if collection else ""
    note(
        f"{counted(len(failed), 'file')} could not be indexed. To see them: clipsearch failures{where}; "
        f"to try again: clipsearch index --retry-failed{where}"
    )


def _name_some(sign: str, uris: Sequence[str]) -> None:
    for uri in uris[:_NAMED]:
        say(f"{sign} {path_shown(uri)}")
    if len(uris) > _NAMED:
        say(f"{sign} … and {len(uris) - _NAMED:,} more (--json names them all)")
