"""The command line: a command for each verb; alone knows click and rich, the exit codes, and what is printed where.

Answers go to stdout, everything else to stderr. 0 fine, 1 error, 2 usage, 3 nothing found.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from clipsearch.cli.commands import cli as cli

FINE, ERROR, USAGE, NOTHING_FOUND = 0, 1, 2, 3
INTERRUPTED, READER_GONE = 130, 141  # as a shell reports the signals SIGINT and SIGPIPE
# numpy's products are small here, and after each of them OpenBLAS' other threads turn on the spot for some 30 ms: on
# two cores a model that then computes takes twice as long. Read when numpy is imported, which is not yet.
ONE_BLAS_THREAD = ("OPENBLAS_NUM_THREADS", "1")


def main() -> NoReturn:
    """The console script."""
    os.environ.setdefault(*ONE_BLAS_THREAD)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows another one: no reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    if "_CLIPSEARCH_COMPLETE" in os.environ:
        cli.main(prog_name="clipsearch")
    code = run(sys.argv[1:])
    if "clipsearch.cli.search" in sys.modules:
        _end_at_once(code)
    sys.exit(code)


def _end_at_once(code: int) -> NoReturn:
    # A search leaves nothing behind that wants tidying, and to take down a hundred libraries in order takes longer
    # than to search with them.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command; gives its exit code. Whatever goes wrong is said in one line on stderr."""
    from clipsearch.cli.printing import complain, for_this_library
    from clipsearch.errors import ClipSearchError

    context: click.Context | None = None
    try:
        with cli.make_context("clipsearch", list(arguments)) as context:
            cli.invoke(context)
            sys.stdout.flush()
        return FINE
    except click.exceptions.Exit as wanted:
        return _flushed(wanted.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ClipSearchError as error:
        _trace()
        complain(for_this_library(f"error: {error.message}", context))
        return ERROR
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted; what was finished before stays")
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        _trace()
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        complain(f"error: {where}{error.strerror or error}")
        return ERROR
    except Exception as error:  # noqa: BLE001  a bug: said in one line, and in full to those who ask
        _trace()
        complain(
            f"internal error: {type(error).__name__}: {error} (please report it; "
            "clipsearch --debug … shows where it happened)"
        )
        return ERROR


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    return code


def _reader_gone() -> int:
    # What is still buffered has nowhere to go; without this, Python complains once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE


def _trace() -> None:
    from clipsearch.cli.options import debugging

    if debugging():
        import traceback

        traceback.print_exc()
