"""A report's page: every text as text, nothing from outside, numbers as given, and large matrices cut down."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_fixtures import PLAIN, whole_report

from clipsearch import reports
from clipsearch.errors import InvalidInput
from clipsearch.reports import (
    Confusion,
    Curve,
    Figure,
    Mistake,
    ReportContent,
    Side,
    Table,
    charts,
    confusion,
    wording,
)
from clipsearch.reports.markup import element, joined

MARKUP = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;"
STYLE = Path(reports.__file__).with_name("style.css").read_text(encoding="utf-8")


class Reading(HTMLParser):
    """The elements of a page with their attributes, and the texts between."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """What of a page does not hang on its texts."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=60))
@example(MARKUP)
@example("]]><!-- --!> <![CDATA[")
@settings(max_examples=50)
def test_no_text_changes_the_elements_of_a_report_and_each_is_shown_whole(text: str) -> None:
    page = reports.render_report(whole_report(text))
    read, plain = Reading(page), Reading(reports.render_report(whole_report(PLAIN)))
    assert read.shape == plain.shape
    shown = [index for index, words in enumerate(plain.texts) if words == PLAIN]
    assert len(shown) > 10
    assert [read.texts[index] for index in shown] == [text] * len(shown)
    names = [attributes["alt"] for tag, attributes in read.elements if tag == "img"]
    assert names == [f"the picture {text} {number}" for _ in "AB" for number in (1, 2, 3)]


def test_what_no_document_may_hold_is_replaced() -> None:
    page = reports.render_report(ReportContent(title="a\x00b\x1b[31m\ud800", sides=[Side(title="one")]))
    assert "<h1>a�b�[31m�</h1>" in page
    page.encode("utf-8")


def test_a_report_asks_for_nothing_outside_itself_and_runs_nothing() -> None:
    read = Reading(reports.render_report(whole_report(MARKUP)))
    policy = next(a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    for tag, attributes in read.elements:
        assert tag not in {"script", "iframe", "object", "form", "a", "foreignobject", "use", "animate"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"@import|url\(", STYLE)


def test_figures_stand_as_they_were_given() -> None:
    texts = Reading(reports.render_report(whole_report())).texts
    for words in ("93.4\u00a0%", "91.2 to 95.3\u00a0%", "0.2312", "0.21 to 0.26", "no value",
                  "\u22121.2 points (\u22123.0 to +0.2)", "30.0\u00a0%", "plain, plain 1",
                  "(none of these)"):  # fmt: skip
        assert words in texts, words


def test_a_report_of_little_leaves_out_the_rest() -> None:
    page = reports.render_report(ReportContent(title="t", sides=[Side(title="s", figures=[Figure("accuracy", 0.5)])]))
    assert re.findall("<h2>(.*?)</h2>", page) == ["Figures"]
    assert "<svg" in page
    assert "<h2>" not in reports.render_report(ReportContent(title="t", sides=[Side(title="s")]))


def test_what_only_one_of_two_sides_has_is_said() -> None:
    bare = Side(title="bare", figures=[Figure("mAP", 0.5)])
    content = ReportContent(title="t", sides=[whole_report().sides[0], bare])
    texts = Reading(reports.render_report(content)).texts
    assert "Nothing to show." in texts
    assert "–" in texts


def test_a_number_that_is_not_finite_has_no_value() -> None:
    assert wording.share(float("nan")) == wording.plain(float("inf")) == wording.probability(None) == "no value"
    assert wording.bounds(Figure("f", 0.5, float("nan"), 0.6)) is None
    assert wording.difference(Figure("f", 0.25, share=False)) == "+0.25"


def test_attributes_are_escaped_and_left_out_where_they_have_no_value() -> None:
    made = element("p", "a<b", element("br"), title='"><x', hidden=True, id=None, width=1 / 3, x=-0.0001)
    assert made == '<p title="&quot;&gt;&lt;x" hidden width="0.333" x="0">a&lt;b<br></p>'
    assert joined("<", made, None) == f"&lt;{made}"


def test_a_small_matrix_is_shown_whole_without_an_unused_none() -> None:
    block = confusion.most_confused_block(Confusion(["a", "b"], np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])))
    assert (block.labels, block.counts.tolist(), block.whole) == (["a", "b"], [[3, 1], [0, 2]], True)
    assert block.shares.tolist() == [[0.75, 0.25], [0, 1]]
    with_none = confusion.most_confused_block(Confusion(["a"], np.array([[3, 1], [0, 0]])))
    assert with_none.labels == ["a", "(none of these)"]
    assert with_none.shares.tolist() == [[0.75, 0.25], [0, 0]]


@given(st.integers(0, 2**32), st.integers(31, 60))
def test_a_large_matrix_keeps_its_most_confused_pair_and_its_shares(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    counts = random.integers(0, 50, (classes, classes)) * (random.random((classes, classes)) < 0.1)
    truth, predicted = random.choice(classes, 2, replace=False).tolist()
    counts[truth, predicted] = 1000
    names = [str(number) for number in range(classes)]
    block = confusion.most_confused_block(Confusion(names, counts))
    places = [int(name) for name in block.labels]
    assert len(places) == confusion.MOST_LABELS
    assert places == sorted(places)
    assert {truth, predicted} <= set(places)
    np.testing.assert_array_equal(block.counts, counts[np.ix_(places, places)])
    assert block.all_mistakes == counts.sum() - np.trace(counts)
    assert block.mistakes == block.counts.sum() - np.trace(block.counts)
    row = places.index(truth)
    assert block.shares[row, places.index(predicted)] == 1000 / counts[truth].sum()


def test_a_thousand_labels_leave_a_page_that_can_be_opened() -> None:
    page = reports.render_report(whole_report(sides=1, labels=1000))
    assert len(page) < 1_000_000
    assert "The 30 of 1,000 labels with the most confused pairs; they hold" in page
    assert "The 60 of 1,000 labels with the most images." in page
    assert page.count('class="cell') == 900


def test_a_curve_of_many_points_is_thinned_and_keeps_its_ends() -> None:
    places = charts.thinned_places(10_000)
    assert (len(places), places[0], places[-1]) == (charts.MOST_POINTS, 0, 9_999)
    assert places == sorted(set(places))
    assert charts.thinned_places(3) == [0, 1, 2]


def test_a_curve_over_scores_is_drawn_between_the_lowest_and_the_highest() -> None:
    drawn = charts.curve_chart(Curve("a", [-3.0, 1.0, 5.0], [0.5] * 3, [1, 0.5, 0], [0.6, 0.7, 0.2], chosen=1.0))
    assert f'x1="{charts.across(0.5):g}" x2="{charts.across(0.5):g}" y1="256"' in drawn
    assert charts.curve_chart(Curve("a", [2.0], [0.5], [1], [0.6])).count("polyline") == 6


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    reports.write_report(whole_report(), path)
    first = path.read_text(encoding="utf-8")
    assert first.endswith("</html>\n")
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        reports.write_report(whole_report("another"), path)
    assert path.read_text(encoding="utf-8") == first
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plain", "report.html"]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InvalidInput, match="one side or two"):
        ReportContent(title="t", sides=[])
    with pytest.raises(InvalidInput, match="no JPEG"):
        Mistake("a.png", ("a",), ("b",), jpeg=b"\x89PNG")
    with pytest.raises(InvalidInput, match="2 labels needs as many rows"):
        Confusion(["a", "b"], np.zeros((4, 4), np.int64))
    with pytest.raises(InvalidInput, match="as many values"):
        Curve("a", [0.1], [1.0], [1.0], [])
    with pytest.raises(InvalidInput, match="2 cells"):
        Table("t", ["a", "b"], [["1"]])


def colours(scheme: str) -> dict[str, str]:
    """The colours of the style sheet, light or dark."""
    light, dark = (re.findall(r"--(\w+): (#\w+)", block) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S))
    return dict(light) | (dict(dark) if scheme == "dark" else {})


def contrast(first: str, second: str) -> float:
    """The contrast of two colours after WCAG 2.2."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_lines_stand_out_from_what_is_behind_them(scheme: str) -> None:
    found = colours(scheme)
    # A cell's shade lies between the card and the full colour, so both ends hold for all.
    words = [("ink", behind) for behind in ("paper", "card", "warm", "right", "wrong")]
    words += [("quiet", "paper"), ("quiet", "card"), ("blue", "card")]
    lines = [(line, "card") for line in ("blue", "green", "red", "ink", "quiet")]
    assert {pair: ratio for pair in words if (ratio := contrast(*(found[name] for name in pair))) < 4.5} == {}
    assert {pair: ratio for pair in lines if (ratio := contrast(*(found[name] for name in pair))) < 3} == {}
