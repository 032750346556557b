"""Tables with a name, a head and a first cell that names its row; wide and long ones scroll in their own place."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.reports import wording
from clipsearch.reports.charts import share_bar
from clipsearch.reports.content import Table
from clipsearch.reports.markup import Markup, element, joined


def table(name: str, columns: Sequence[str], rows: Sequence[Sequence[Markup]], kind: str | None = None) -> Markup:
    """A table with ``columns`` above and rows of as many cells, the first of each as its head."""
    head = element("tr", *[element("th", column, scope="col") for column in columns])
    body = [
        element("tr", element("th", row[0], scope="row"), *[element("td", cell) for cell in row[1:]]) for row in rows
    ]
    caption = element("caption", name, class_="unseen")
    whole = element("table", caption, element("thead", head), element("tbody", *body), class_=kind)
    # A place that scrolls has to be reached without a mouse.
    return element("div", whole, class_="scroll", tabindex=0, role="group", aria_label=name)


def whole_table(shown: Table) -> Markup:
    """A plain table."""
    return table(shown.title, shown.columns, [[joined(cell) for cell in row] for row in shown.rows])


def count_with_bar(number: int, most: int, kind: str) -> Markup:
    """A count and its bar against the largest."""
    return joined(wording.count(number), share_bar(number, most, kind))
