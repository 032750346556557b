"""What terms contributed to a hit adds up to its score, whatever their number and the signs of their weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from library_fixtures import unit_rows
from search_fixtures import found_image

from clipsearch.queries import Query, Term
from clipsearch.searching.directions import LEAST_LENGTH, Direction
from clipsearch.searching.explaining import explain
from clipsearch.vector_index import build_index

weights = st.lists(st.floats(-100, 100).filter(lambda one: abs(one) > 1e-3), min_size=1, max_size=16)


@given(weights, st.integers(0, 10_000))
def test_contributions_add_up_to_the_score_of_every_hit(weights: list[float], seed: int) -> None:
    rows = unit_rows(12, seed=seed)
    parts = unit_rows(len(weights), seed=seed + 1)
    # As a search makes it: by the largest weight first, in float32.
    largest = max(map(abs, weights))
    scaled = [weight / largest for weight in weights]
    total = sum(
        (np.float32(weight) * part for weight, part in zip(scaled, parts, strict=True)),
        np.zeros(16, np.float32),
    )
    length = float(np.linalg.norm(total))
    if length <= LEAST_LENGTH * sum(map(abs, scaled)):
        return
    direction = Direction(total / np.float32(length), parts=list(parts), shares=[one / length for one in scaled])
    query = Query(terms=tuple(Term(vector=tuple(map(float, part)), weight=weight) for part, weight in
                              zip(parts, weights, strict=True)), explain=True)  # fmt: skip
    index = build_index(16, np.arange(1, 13), rows)
    found = [found_image(number, score) for number, score in index.search(direction.vector, 12)[0]]
    explain(index, query, direction, found)
    tolerance = 1e-5 + 1e-6 * sum(map(abs, direction.shares))
    for one in found:
        assert one.terms is not None
        assert [term.weight for term in one.terms] == weights
        assert abs(sum(term.contribution for term in one.terms) - one.score) <= tolerance
