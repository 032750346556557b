"""Answer queries from a collection's index; knows how many neighbours to ask for, and that queries go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Cut, Hit, HitGroup, SearchAnswer
from clipsearch.database.collections import CollectionRow
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import ImageRow, image_rows
from clipsearch.errors import InvalidInput, ModelSwitched
from clipsearch.indexes import IndexView
from clipsearch.library import Library
from clipsearch.queries import MAX_QUERIES, Filters, Query
from clipsearch.searching.cutting import Measure, measures, takes_away
from clipsearch.searching.directions import Direction, check_texts, directions, of_query
from clipsearch.searching.duplicates import Found, leaders
from clipsearch.searching.sorting import in_order, wanted, windowed
from clipsearch.stages import stage
from clipsearch.vector_index import Neighbours

NAMED_WORDS = 8
LONGEST_NAMED = 60


@dataclass
class _Search:
    """One query on its way to an answer."""

    query: Query
    direction: Direction
    among: NDArray[np.int64] | None
    depth: int
    exact: bool
    measure: Measure | None = None
    neighbours: list[tuple[int, float]] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    best_relevance: float | None = None
    left_out: bool = False

    @property
    def hopeless(self) -> bool:
        """Whether it need not be asked."""
        return self.direction.meaningless is not None or (self.among is not None and self.among.size == 0)

    @property
    def question(self) -> tuple[object, ...]:
        """What searches must share to be asked of the index together."""
        return self.query.filters, tuple(self.direction.excluded), self.depth, self.exact

    def look_through(self, view: IndexView, rows: dict[int, ImageRow]) -> bool:
        """Make hits of the neighbours that were found; whether no later neighbour could change them."""
        # The index may stand a moment behind: what left the collection since is not an answer.
        ranked = [Found(rows[number], score) for number, score in self.neighbours if number in rows]
        self.left_out = False
        if self.measure is not None:
            for one, relevance in zip(ranked, self.measure.relevance([one.score for one in ranked]), strict=True):
                one.relevance = relevance
            self.best_relevance = ranked[0].relevance if ranked else None
            if self.measure.least is not None:
                near = [one for one in ranked if (one.relevance or 0.0) >= self.measure.least]
                self.left_out = len(near) < len(ranked)
                ranked = near
        self.found, enough = leaders(view.index, ranked, self.query, wanted(self.query))
        for rank, one in enumerate(self.found, start=1):
            one.rank = rank
        # Relevance falls with the score: once one image was left out, all that follow are.
        return enough or self.left_out


def search(library: Library, query: Query, *, collection: str | None = None, wait: bool = True) -> SearchAnswer:
    """The images nearest to the query, best first.

    With ``wait`` false the answer may come from an index that another thread is bringing up to date; it says so.
    Raises CollectionNotFound, ImageNotFound, UnreadableImage, EmptyText, InvalidVector, ModelUnavailable, and
    LabelSetNotFound, Conflict for groups by tags that do not stand.
    """
    return search_many(library, (query,), collection=collection, wait=wait)[0]


def search_many(
    library: Library,
    queries: Sequence[Query],
    *,
    collection: str | None = None,
    wait: bool = True,
    model: str | None = None,
) -> list[SearchAnswer]:
    """The answers to up to MAX_QUERIES queries, in order, all from one generation of the index; as ``search``.

    Texts are encoded together, and queries that differ in their terms alone are searched together. An error of
    one query fails them all: it names the query's place, from 0, in its message and in ``details["query"]``.
    ``model`` is the one that vectors among the terms were made by: ModelSwitched where another answers by now.
    """
    if len(queries) > MAX_QUERIES:
        raise InvalidInput(f"{len(queries)} queries at once are too many; ask up to {MAX_QUERIES}")
    state, view = library.state_and_index(collection, wait=wait)
    row = state.row
    if model is not None and row.model_name != model:
        raise ModelSwitched(f"the collection {row.name!r} was switched from {model} to {row.model_name}; ask again")
    check_texts(queries)
    if view is None or len(view.index) == 0:
        empty = f"the collection {row.name!r} holds no images yet"
        return [_answer(row, view, notice=empty) for _ in queries]
    found = directions(library, row, view.model, queries)
    allowed = _allowed(library, row, queries)
    judged = measures(library, row, view, queries, found)
    searches = [
        _Search(query, direction, among, wanted(query) + 1, query.exact, measure)
        for query, direction, among, measure in zip(queries, found, allowed, judged, strict=True)
    ]
    _gather(library, view, [one for one in searches if not one.hopeless])
    return [_answered(library, row, view, one) for one in searches]


def _allowed(library: Library, row: CollectionRow, queries: Sequence[Query]) -> list[NDArray[np.int64] | None]:
    """The ids that each query's filters let through; None for all. Equal filters are asked once."""
    known: dict[Filters, NDArray[np.int64] | None] = {}
    for position, query in enumerate(queries):
        if query.group_by is not None:
            with of_query(position, queries):
                _check_group(library, row, query)
        if query.filters in known:
            continue
        if query.filters.empty:
            known[query.filters] = None
            continue
        with of_query(position, queries), library.database.read() as connection:
            known[query.filters] = filtered_ids(connection, row.id, query.filters)
    return [known[query.filters] for query in queries]


def _check_group(library: Library, row: CollectionRow, query: Query) -> None:
    from clipsearch.searching.grouping import check_group

    with library.database.read() as connection:
        check_group(connection, row.id, query)


def _gather(library: Library, view: IndexView, searches: Sequence[_Search]) -> None:
    """What was wanted, from the best on. A search goes deeper only when its first neighbours do not suffice."""
    rows: dict[int, ImageRow] = {}
    while searches:
        for group in _grouped(searches):
            for one, neighbours in zip(group, _neighbours(view, group), strict=True):
                one.neighbours = list(neighbours)
        new = {number for one in searches for number, _ in one.neighbours} - rows.keys()
        if new:
            with stage("read_rows"), library.database.read() as connection:
                rows |= image_rows(connection, new)
        short = []
        for one in searches:
            if not one.look_through(view, rows) and len(one.neighbours) >= one.depth:
                # From the start again, and exactly: what cells give is no beginning of a deeper search.
                one.depth, one.exact = one.depth * 4, True
                short.append(one)
        searches = short


def _neighbours(view: IndexView, group: Sequence[_Search]) -> list[Neighbours]:
    first = group[0]
    with stage("search"):
        return view.index.search(
            np.stack([one.direction.vector for one in group]),
            first.depth,
            among=first.among,
            excluding=np.array(first.direction.excluded, dtype=np.int64),
            exact=first.exact,
        )


def _grouped(searches: Sequence[_Search]) -> list[list[_Search]]:
    groups: dict[tuple[object, ...], list[_Search]] = {}
    for one in searches:
        groups.setdefault(one.question, []).append(one)
    return list(groups.values())


def _answered(library: Library, row: CollectionRow, view: IndexView, done: _Search) -> SearchAnswer:
    direction, query = done.direction, done.query
    notice = None
    if direction.meaningless is not None:
        words = ", ".join(_brief(word) for word in direction.unknown_words[:NAMED_WORDS])
        text = _brief(direction.meaningless)
        notice = f"the model {row.model_name} never saw the words of {text!r}"
        notice += "" if words == text else f" ({words})"
    elif done.hopeless:
        notice = "no image of the collection passes the filters"
    chosen, groups = _chosen(library, row, done)
    if query.explain:
        from clipsearch.searching.explaining import explain  # here and below: most searches do without

        explain(view.index, query, direction, chosen)
    hits = [one.hit() for one in chosen]
    notice = notice or (None if hits else _why_nothing(done)) or _why_uncut(done)
    cut = done.measure.cut(done.left_out and len(done.found) < wanted(query)) if done.measure else None
    answer = _answer(row, view, hits, direction, notice, cut)
    more: dict[str, object] = {}
    if windowed(query):
        more |= {"window": len(done.found), "groups": groups}
    if query.histogram and not done.hopeless:
        from clipsearch.searching.histogram import histogram

        more["histogram"] = histogram(view.index, direction, done.among, done.measure)
    return answer.model_copy(update=more) if more else answer


def _chosen(library: Library, row: CollectionRow, done: _Search) -> tuple[list[Found], list[HitGroup] | None]:
    """The part of what was found that is wanted, in the order that is wanted; and its groups."""
    query, ordered = done.query, in_order(done.found, done.query)
    if query.group_by is None:
        return ordered[query.offset : query.offset + query.k], None
    from clipsearch.searching.grouping import grouped

    with library.database.read() as connection:
        return grouped(connection, row.id, ordered, query)


def _brief(text: str) -> str:
    """As much of what was asked as reminds of it: an answer does not repeat a page of it."""
    return text if len(text) <= LONGEST_NAMED else f"{text[:LONGEST_NAMED]}…"


def _why_uncut(done: _Search) -> str | None:
    if done.query.cuts and done.measure is None:
        if takes_away(done.query):
            return "nothing was left out: a query with a negative weight has no relevance"
        return "nothing was left out: there are too few images to tell which likeness is unusual"
    return None


def _why_nothing(done: _Search) -> str:
    query, measure = done.query, done.measure
    if measure is not None and measure.least is not None and done.left_out and not done.found:
        return (
            f"nothing matches: the best image has a relevance of {done.best_relevance or 0.0:.2f}, "
            f"below {measure.least:g}"
        )
    if query.min_score is not None:
        return f"no image reaches the score {query.min_score:g}"
    return "there are no more images" if query.offset else "no image was found"


def _answer(
    row: CollectionRow,
    view: IndexView | None,
    hits: Sequence[Hit] = (),
    direction: Direction | None = None,
    notice: str | None = None,
    cut: Cut | None = None,
) -> SearchAnswer:
    return SearchAnswer(
        collection=row.name,
        model=row.model_name,
        hits=list(hits),
        revision=view.revision if view else row.revision,
        stale=view.stale if view else False,
        truncated=direction.truncated if direction else False,
        unknown_words=direction.unknown_words if direction else [],
        notice=notice,
        cut=cut,
    )
