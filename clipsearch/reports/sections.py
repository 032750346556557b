"""The sections of a report: each shows one thing, for one side or for two next to each other."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from clipsearch.reports import charts, wording
from clipsearch.reports.confusion import confusion_chart, most_confused_block
from clipsearch.reports.content import Curve, Figure, Mistake, ReportContent, Side
from clipsearch.reports.markup import Markup, element, joined
from clipsearch.reports.tables import count_with_bar, table, whole_table

MOST_CURVES = 24
MOST_COUNTED = 60  # labels whose counts are drawn; every label stands in the table of labels

Drawn = Callable[[Side], Markup | None]


def sections(content: ReportContent) -> Markup:
    """All sections that have something to show."""
    several = len(content.sides) > 1

    def each(title: str, meaning: str, drawn: Drawn) -> Markup | None:
        return _side_by_side(title, meaning, content.sides, drawn)

    return joined(
        each("What was measured" if not several else "What was compared", "", _facts),
        _figures(content),
        each("Confusion matrix", "Rows are the true labels, columns the given ones.", _confusion),
        each("Most confused pairs", "", _confused_pairs),
        each("Class distribution", "How often each label is true, and how often it was given.", _distribution),
        each("Reliability", "Whether a probability of 80 % is right in 80 % of the cases.", _reliability),
        each("Thresholds", "What each label's threshold gives: the higher it is, the fewer are taken.", _curves),
        each("Labels", "", _labels),
        each("Worst mistakes", "", _mistakes),
        *[_section(one.title, whole_table(one)) for one in content.tables],
    )


def facts(pairs: Sequence[tuple[str, str]]) -> Markup | None:
    """Names and values; None where there are none."""
    if not pairs:
        return None
    rows = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", *rows)


def warnings(texts: Sequence[str]) -> Markup | None:
    """What a reader has to know before the figures; None where there is nothing."""
    if not texts:
        return None
    heading = element("strong", "Warning" if len(texts) == 1 else "Warnings")
    return element("div", heading, element("ul", *[element("li", text) for text in texts]), class_="warnings")


def _section(title: str, *children: str | None) -> Markup:
    return element("section", element("h2", title), *children)


def _side_by_side(title: str, meaning: str, sides: Sequence[Side], drawn: Drawn) -> Markup | None:
    shown = [drawn(side) for side in sides]
    if all(one is None for one in shown):
        return None
    blocks = [
        element(
            "div",
            element("h3", side.title) if len(sides) > 1 else None,
            one if one is not None else element("p", "Nothing to show.", class_="quiet"),
            class_="side",
        )
        for side, one in zip(sides, shown, strict=True)
    ]
    return _section(
        title, element("p", meaning, class_="quiet") if meaning else None, element("div", *blocks, class_="sides")
    )


def _facts(side: Side) -> Markup | None:
    shown = facts(side.facts), warnings(side.warnings)
    return joined(*shown) if any(shown) else None


def _figures(content: ReportContent) -> Markup | None:
    names = list(dict.fromkeys(figure.name for side in content.sides for figure in side.figures))
    if not names:
        return None
    by_name = [{figure.name: figure for figure in side.figures} for side in content.sides]
    ahead = {figure.name: figure for figure in content.differences}
    several = len(content.sides) > 1
    columns = ["figure", *([side.title for side in content.sides] if several else ["value"])]
    rows = []
    for name in names:
        meaning = next((figures[name].meaning for figures in by_name if name in figures), "")
        cells = [joined(name, element("small", meaning) if meaning else None)]
        cells += [_figure(figures.get(name)) for figures in by_name]
        if ahead:
            cells.append(joined(wording.difference(ahead[name]) if name in ahead else "–"))
        rows.append(cells)
    if ahead:
        columns.append("second less first")
    return _section("Figures", table("Figures", columns, rows, kind="figures"))


def _figure(figure: Figure | None) -> Markup:
    if figure is None:
        return joined("–")
    bounds = wording.bounds(figure)
    return joined(
        element("b", wording.estimate(figure)),
        element("small", bounds) if bounds else None,
        charts.interval_bar(figure),
    )


def _confusion(side: Side) -> Markup | None:
    if side.confusion is None:
        return None
    block = most_confused_block(side.confusion)
    note = None
    if not block.whole:
        labels = wording.count(len(side.confusion.labels))
        note = (
            f"The {len(block.labels)} of {labels} labels with the most confused pairs; they hold "
            f"{wording.count(block.mistakes)} of {wording.count(block.all_mistakes)} mistakes."
        )
    name = f"Confusion matrix of {side.title}"
    rows = [
        [joined(label), *[joined(wording.count(number)) for number in numbers]]
        for label, numbers in zip(block.labels, block.counts.tolist(), strict=True)
    ]
    return joined(
        element("p", note) if note else None,
        element(
            "div", confusion_chart(block), class_="scroll whole", tabindex=0, role="group", aria_label=f"{name}, drawn"
        ),
        _as_table(table(name, ["true / given", *block.labels], rows, kind="numbers")),
    )


def _confused_pairs(side: Side) -> Markup | None:
    if not side.most_confused:
        return None
    rows = [
        [joined(one.truth), joined(one.predicted), joined(wording.count(one.images)), joined(wording.share(one.share))]
        for one in side.most_confused
    ]
    return table(f"Most confused pairs of {side.title}", ["true", "given", "images", "of the true label"], rows)


def _distribution(side: Side) -> Markup | None:
    if not side.labels:
        return None
    most = max(max(one.images, one.predicted) for one in side.labels)
    shown = sorted(side.labels, key=lambda one: -max(one.images, one.predicted))[:MOST_COUNTED]
    note = None
    if len(shown) < len(side.labels):
        note = f"The {len(shown)} of {wording.count(len(side.labels))} labels with the most images."
    rows = [
        [joined(one.label), count_with_bar(one.images, most, "true"), count_with_bar(one.predicted, most, "given")]
        for one in shown
    ]
    return joined(
        element("p", note) if note else None,
        table(f"Class distribution of {side.title}", ["label", "true", "given"], rows, kind="full"),
    )


def _reliability(side: Side) -> Markup | None:
    if not any(one.images for one in side.reliability):
        return None
    rows = [
        [
            joined(f"{wording.share(one.low)} to {wording.share(one.high)}"),
            joined(wording.count(one.images)),
            joined(wording.share(one.probability)),
            joined(wording.share(one.accuracy)),
        ]
        for one in side.reliability
    ]
    columns = ["probability", "images", "said", "right"]
    name = f"Reliability of {side.title}"
    return joined(charts.reliability_chart(side.reliability), _as_table(table(name, columns, rows, kind="numbers")))


def _curves(side: Side) -> Markup | None:
    if not side.curves:
        return None
    note = None
    if len(side.curves) > MOST_CURVES:
        note = f"The first {MOST_CURVES} of {wording.count(len(side.curves))} labels."
    return joined(
        element("p", note) if note else None,
        charts.curve_legend(),
        element("div", *[_curve(side, one) for one in side.curves[:MOST_CURVES]], class_="curves"),
    )


def _curve(side: Side, curve: Curve) -> Markup:
    columns = ["threshold", "precision", "recall", "F1"]
    rows = [
        [joined(wording.probability(row[place])) for row in (curve.thresholds, curve.precision, curve.recall, curve.f1)]
        for place in charts.thinned_places(len(curve.thresholds), 11)
    ]
    chosen = f", threshold {wording.probability(curve.chosen)}" if curve.chosen is not None else ""
    return element(
        "figure",
        element("figcaption", element("b", curve.label), chosen),
        charts.curve_chart(curve),
        _as_table(table(f"Thresholds of {curve.label}, {side.title}", columns, rows, kind="numbers")),
    )


def _labels(side: Side) -> Markup | None:
    if not side.labels:
        return None
    shares = {
        "recall": [one.recall for one in side.labels],
        "precision": [one.precision for one in side.labels],
        "F1": [one.f1 for one in side.labels],
        "average precision": [one.average_precision for one in side.labels],
    }
    used = {name: values for name, values in shares.items() if any(value is not None for value in values)}
    tuned = any(one.threshold is not None for one in side.labels)
    columns = ["label", "images", "given", *used, *(["threshold"] if tuned else [])]
    rows = [
        [
            joined(one.label),
            joined(wording.count(one.images)),
            joined(wording.count(one.predicted)),
            *[joined(wording.share(values[place])) for values in used.values()],
            *([joined(wording.probability(one.threshold))] if tuned else []),
        ]
        for place, one in enumerate(side.labels)
    ]
    return table(f"Labels of {side.title}", columns, rows, kind="numbers")


def _mistakes(side: Side) -> Markup | None:
    if not side.mistakes:
        return None
    return element("ul", *[element("li", _mistake(one)) for one in side.mistakes], class_="mistakes")


def _mistake(mistake: Mistake) -> Markup:
    if mistake.jpeg is None:
        picture = element("div", "no thumbnail", class_="no-picture")
    else:
        source = "data:image/jpeg;base64," + base64.b64encode(mistake.jpeg).decode("ascii")
        picture = element("img", src=source, alt=f"the picture {mistake.name}")
    given, true = wording.labels(tuple(mistake.predicted)), wording.labels(tuple(mistake.truth))
    return element(
        "figure",
        picture,
        element(
            "figcaption",
            element("span", mistake.name, class_="name"),
            element("span", "is ", element("b", true), _in_brackets(mistake.truth_probability)),
            element("span", "given ", element("b", given), _in_brackets(mistake.probability)),
        ),
    )


def _in_brackets(probability: float | None) -> str | None:
    return None if probability is None else f" ({wording.share(probability)})"


def _as_table(shown: Markup) -> Markup:
    return element("details", element("summary", "as a table"), shown)
