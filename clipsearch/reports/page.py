"""A report as one HTML file that needs nothing beside it; alone knows what the page may load: nothing from outside."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from clipsearch.reports.content import ReportContent
from clipsearch.reports.markup import Markup, document, element, joined, style_sheet
from clipsearch.reports.sections import facts, sections, warnings

# No scripts at all, pictures and the style only from the file itself, and nowhere to send a form.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_report(content: ReportContent) -> str:
    """The report as an HTML document. Every text in it is shown as text, markup in it included."""
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", content.title),
        # Without it a browser would ask the server for a picture of its own.
        element("link", rel="icon", href="data:,"),
        style_sheet(_style()),
    )
    body = joined(
        element("header", element("h1", content.title), facts(content.facts), warnings(content.warnings)),
        element("main", sections(content)),
    )
    return document(head=head, body=Markup(body))


def write_report(content: ReportContent, path: Path) -> None:
    """Write the report to ``path``, whole or not at all; a file that is there is replaced. Raises OSError."""
    text = render_report(content)
    opened, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(opened, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        # mkstemp keeps others out; a report may be read like any file of this person's.
        mask = os.umask(0)
        os.umask(mask)
        Path(beside).chmod(0o666 & ~mask)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


@cache
def _style() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")
