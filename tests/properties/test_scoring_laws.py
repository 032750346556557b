"""Laws of scoring over random label sets: sums, order, joining, categories, thresholds, and the quick way for many."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from library_fixtures import unit_rows
from numpy.typing import NDArray

from clipsearch.label_set import AGGREGATES, BACKGROUND, MODES, Aggregate, Label, LabelSet, Mode
from clipsearch.model import Model
from clipsearch.scoring import Presence, Ranked, Targets, categories_of, decide, decide_categories, ranker, softmax
from clipsearch.scoring.ranking import best

DIMENSION = 16


@dataclass(frozen=True)
class Case:
    """A random label set with rows for its labels, and images."""

    label_set: LabelSet
    groups: list[NDArray[np.float32]]
    background: NDArray[np.float32] | None
    model: Model
    images: NDArray[np.float32]
    presence: Presence | None

    @property
    def targets(self) -> Targets:
        return Targets.of(self.groups, self.background)

    def ranked(self, top: int | None = None, label_set: LabelSet | None = None) -> Ranked:
        chosen = label_set or self.label_set
        rank = ranker(chosen, self.targets, self.model, top=top, images=len(self.images), presence=self.presence)
        return rank(self.images)


fractions = st.one_of(st.none(), st.floats(0, 1))


@st.composite
def cases(draw: st.DrawFn, modes: tuple[Mode, ...] = MODES, aggregates: tuple[Aggregate, ...] = AGGREGATES) -> Case:
    mode, aggregate = draw(st.sampled_from(modes)), draw(st.sampled_from(aggregates))
    seed = draw(st.integers(0, 2**31 - 1))
    behind = mode == "single" and draw(st.booleans())
    count = draw(st.integers(1 if behind or mode != "single" else 2, 9))
    sizes = [1 if aggregate == "mean_embedding" else draw(st.integers(1, 3)) for _ in range(count)]
    groups = [unit_rows(size, DIMENSION, seed=seed + place) for place, size in enumerate(sizes)]
    if draw(st.booleans()):
        groups[-1] = groups[0]  # two labels that cannot be told apart
    grouped = draw(st.booleans())
    labels = tuple(
        Label(
            name=f"label {place}",
            category=draw(st.sampled_from([None, "a", "b", "c"])) if grouped else None,
            min_score=draw(fractions),
            min_probability=draw(fractions),
        )
        for place in range(count)
    )
    label_set = LabelSet(
        labels=labels,
        mode=mode,
        aggregate=aggregate,
        background=("something else",) if behind else (),
        min_score=draw(fractions),
        min_probability=draw(fractions),
        min_margin=draw(fractions),
    )
    sigmoid = draw(st.booleans())
    model = Model("m", DIMENSION, draw(st.sampled_from([1.0, 10.0, 100.0])), -2.0 if sigmoid else 0.0,
                  scoring="sigmoid" if sigmoid else "softmax")  # fmt: skip
    presence = None
    if mode != "single":
        texts = None if sigmoid else unit_rows(30, DIMENSION, seed=seed + 100)
        opposites = {0: unit_rows(2 if aggregate != "mean_embedding" else 1, DIMENSION, seed=seed + 200)}
        presence = Presence(Targets.of(groups), aggregate, model, texts, opposites if mode == "binary" else {})
    images = unit_rows(draw(st.integers(1, 5)), DIMENSION, seed=seed + 300)
    return Case(
        label_set, groups, unit_rows(1, DIMENSION, seed=seed + 400) if behind else None, model, images, presence
    )


def in_order(found: Ranked, column: NDArray[np.float64], case: Case) -> NDArray[np.float64]:
    """A column in the order of the set, the background last."""
    width = len(case.groups) + (case.background is not None)
    values = np.empty((len(case.images), width))
    np.put_along_axis(values, np.where(found.positions == BACKGROUND, width - 1, found.positions), column, axis=1)
    return values


@given(cases(modes=("single",)))
def test_the_probabilities_of_a_choice_add_up_to_one_with_the_background(case: Case) -> None:
    found = case.ranked()
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (found.positions == BACKGROUND).sum(axis=1).tolist() == [int(case.background is not None)] * len(case.images)


@given(cases())
def test_the_best_come_first_equal_ones_in_their_order_and_margins_add_up_to_the_first(case: Case) -> None:
    found = case.ranked()
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    assert found.margins.sum(axis=1) == pytest.approx(found.probabilities[:, 0], abs=1e-12)
    assert ((found.probabilities >= 0) & (found.probabilities <= 1)).all()
    if case.groups[0] is case.groups[-1] and len(case.groups) > 1 and case.label_set.mode != "binary":
        for row in found.positions.tolist():
            assert row.index(0) < row.index(len(case.groups) - 1)
    assert (
        found.logits == pytest.approx(case.model.logit_scale * found.scores + case.model.logit_bias, abs=1e-9)
        or case.label_set.aggregate == "sum_probability"
    )


@given(cases(), st.integers(1, 12))
def test_the_first_few_are_the_head_of_all(case: Case, top: int) -> None:
    every, some = case.ranked(), case.ranked(top)
    for name in ("positions", "scores", "logits", "probabilities", "margins"):
        assert np.array_equal(getattr(some, name), getattr(every, name)[:, :top])


@given(cases(modes=("single",), aggregates=("sum_probability",)))
def test_joined_by_sums_a_label_has_the_sum_of_its_prompts_probabilities(case: Case) -> None:
    rows, targets = np.concatenate(case.groups + ([] if case.background is None else [case.background])), case.targets
    each = softmax(case.model.logit_scale * (case.images.astype(float) @ rows.astype(float).T) + case.model.logit_bias)
    plain = np.add.reduceat(each, targets.starts, axis=1)
    found = case.ranked()
    assert in_order(found, found.probabilities, case) == pytest.approx(plain, abs=1e-12)


@given(cases(aggregates=("max",)))
def test_joined_by_the_largest_a_label_has_the_score_of_its_best_prompt(case: Case) -> None:
    found = case.ranked()
    scores = in_order(found, found.scores, case)
    for place, group in enumerate(case.groups):
        assert scores[:, place] == pytest.approx((case.images @ group.T).max(axis=1), abs=1e-6)


@given(cases())
def test_categories_are_the_sums_of_their_labels_and_lose_nothing(case: Case) -> None:
    found, names = case.ranked(), categories_of(case.label_set)
    if not names:
        assert found.categories is None
        return
    assert found.categories is not None
    assert found.category_labels is not None
    shares = in_order(found, found.probabilities, case)
    for place, name in enumerate(names):
        members = [at for at, one in enumerate(case.label_set.labels) if (one.category or one.name) == name]
        join = math.fsum if case.label_set.mode == "single" else max
        for image in range(len(case.images)):
            assert found.categories[image, place] == pytest.approx(join(shares[image, members].tolist()), abs=1e-15)
            best = found.category_labels[image, place]
            assert best in members
            assert shares[image, best] == shares[image, members].max()
    if case.label_set.mode == "single":
        rest = shares[:, -1] if case.background is not None else 0.0
        assert found.categories.sum(axis=1) + rest == pytest.approx(1.0, abs=1e-12)


@given(cases(modes=("single",)), st.integers(1, 9))
def test_a_category_is_judged_by_its_sum_however_few_labels_are_told(case: Case, top: int) -> None:
    names, label_set = categories_of(case.label_set), case.label_set
    if not names:
        return
    found = decide_categories(label_set, case.ranked(top))
    every = case.ranked()
    shares, scores = in_order(every, every.probabilities, case), in_order(every, every.scores, case)
    members = [[at for at, one in enumerate(label_set.labels) if (one.category or one.name) == name] for name in names]
    for image in range(len(case.images)):
        sums = [math.fsum(shares[image, some]) for some in members]
        place = int(found.places[image])
        assert sums[place] == pytest.approx(max(sums), abs=1e-12)
        assert found.shares[image] == pytest.approx(sums[place], abs=1e-12)
        lead = sums[place] - max([other for at, other in enumerate(sums) if at != place], default=0.0)
        assert found.margins[image] == pytest.approx(lead, abs=1e-12)
        best = max(members[place], key=lambda at: (shares[image, at], -at))
        held = {
            "background": (sums[place], shares[image, -1] if case.background is not None else -1.0),
            "score": (scores[image, best], _own(label_set, best, "min_score", -2.0)),
            "probability": (sums[place], _own(label_set, best, "min_probability", -1.0)),
            "margin": (lead, label_set.min_margin or -1.0),
        }
        if any(abs(value - least) < 1e-9 for value, least in held.values()):
            continue  # rounding decides
        expected = next((reason for reason, (value, least) in held.items() if value < least), None)
        assert found.rejected[image] == expected


def _own(label_set: LabelSet, place: int, name: str, usual: float) -> float:
    own = getattr(label_set.labels[place], name)
    of_set = getattr(label_set, name)
    return float(own if own is not None else usual if of_set is None else of_set)


@given(cases())
def test_a_changed_threshold_answers_as_a_classification_from_scratch(case: Case) -> None:
    bare = replace(
        case.label_set,
        labels=tuple(replace(label, min_score=None, min_probability=None) for label in case.label_set.labels),
        min_score=None,
        min_probability=None,
        min_margin=None,
    )
    kept, fresh = case.ranked(label_set=bare), case.ranked()
    for name in ("positions", "scores", "logits", "probabilities", "margins"):
        assert np.array_equal(getattr(kept, name), getattr(fresh, name))
    later, scratch = decide(case.label_set, kept), decide(case.label_set, fresh)
    assert np.array_equal(later.accepted, scratch.accepted)
    assert later.rejected == scratch.rejected == [plainly(case.label_set, fresh, at) for at in range(len(case.images))]


def plainly(label_set: LabelSet, found: Ranked, image: int) -> str | None:
    """Why the image has no label, decided one label after the other."""
    first: str | None = None
    for rank, position in enumerate(found.positions[image].tolist()):
        if label_set.mode == "single" and rank:
            break
        reason = None
        if position == BACKGROUND:
            reason = "background"
        else:
            label = label_set.labels[position]
            score = label.min_score if label.min_score is not None else label_set.min_score
            share = label.min_probability if label.min_probability is not None else label_set.min_probability
            usual = 0.0 if label_set.mode == "single" else 0.5
            if score is not None and found.scores[image, rank] < score:
                reason = "score"
            elif found.probabilities[image, rank] < (usual if share is None else share):
                reason = "probability"
            elif label_set.mode == "single" and found.margins[image, rank] < (label_set.min_margin or 0.0):
                reason = "margin"
        if reason is None:
            return None
        first = first or reason
    return first


@given(cases(modes=("single",)), st.floats(0, 1))
def test_a_first_label_is_accepted_where_it_leads_by_the_least_margin(case: Case, least: float) -> None:
    plain = tuple(replace(label, min_score=None, min_probability=None) for label in case.label_set.labels)
    label_set = replace(case.label_set, labels=plain, min_score=None, min_probability=None, min_margin=least)
    found = case.ranked()
    decision = decide(label_set, found)
    first = found.positions[:, 0] != BACKGROUND
    assert decision.accepted[:, 0].tolist() == (first & (found.margins[:, 0] >= least)).tolist()
    exact = decide(replace(label_set, min_margin=float(found.margins[0, 0])), found)
    assert exact.accepted[0, 0] == first[0]


@given(cases(), st.one_of(st.none(), st.integers(1, 4)))
def test_the_quick_way_for_many_says_the_same(case: Case, top: int | None) -> None:
    exact = case.ranked(top)
    with patch("clipsearch.scoring.ranking.MANY_SCORES", 0), patch("clipsearch.scoring.ranking.CELLS", 20):
        quick = case.ranked(top)
    assert quick.positions.shape == exact.positions.shape
    assert quick.probabilities == pytest.approx(exact.probabilities, abs=2e-3)
    assert quick.margins == pytest.approx(exact.margins, abs=4e-3)
    assert quick.scores == pytest.approx(exact.scores, abs=1e-2)
    if exact.categories is not None:
        assert quick.categories == pytest.approx(exact.categories, abs=2e-3)


@given(st.integers(0, 2**31 - 1), st.integers(1, 4), st.integers(1, 60), st.integers(1, 60), st.integers(1, 20))
def test_the_best_few_are_those_of_a_stable_sort(seed: int, rows: int, columns: int, count: int, values: int) -> None:
    keys = np.random.default_rng(seed).integers(0, values, (rows, columns)).astype(np.float64)
    count = min(count, columns)
    assert np.array_equal(best(keys, count), np.argsort(-keys, axis=1, kind="stable")[:, :count])


@given(st.integers(0, 2**31 - 1), st.booleans())
def test_labels_beyond_what_fits_in_float64_at_once_score_the_same(seed: int, alone: bool) -> None:
    images, rows = unit_rows(3, DIMENSION, seed=seed), unit_rows(20, DIMENSION, seed=seed + 1)
    label_set = LabelSet(
        labels=tuple(Label(name=str(place)) for place in range(20)), mode="multi" if alone else "single"
    )
    model = Model("m", DIMENSION, 10.0)

    def scored() -> Ranked:
        targets = Targets.of([row[None] for row in rows])
        presence = Presence(targets, "mean_embedding", model, unit_rows(30, DIMENSION, seed=seed + 2), {})
        return ranker(label_set, targets, model, top=None, images=3, presence=presence)(images)

    whole = scored()
    with patch("clipsearch.scoring.targets.WIDE", 40), patch("clipsearch.scoring.presence.WIDE", 40):
        parts = scored()
    assert parts.positions.shape == whole.positions.shape
    assert parts.scores == pytest.approx(whole.scores, abs=1e-4)
    assert parts.probabilities == pytest.approx(whole.probabilities, abs=1e-4)
