"""Laws of tuned thresholds and of the truth that classes are mapped to, over random outcomes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.evaluating.class_names import places_of
from clipsearch.evaluating.outcomes import MultiOutcome, SingleOutcome
from clipsearch.evaluating.tuning import tuned

seeds = st.integers(0, 2**32 - 1)


def f1(truth: np.ndarray, accepted: np.ndarray) -> float:
    total = int(truth.sum() + accepted.sum())
    return 2 * int((truth & accepted).sum()) / total if total else 0.0


@given(seeds, st.integers(1, 40), st.integers(1, 5), st.integers(1, 8))
@settings(max_examples=60)
def test_no_other_threshold_gives_a_label_a_better_f1_and_the_tuned_one_keeps_its_promise(
    seed: int, images: int, labels: int, steps: int
) -> None:
    chance = np.random.default_rng(seed)
    truth = chance.random((images, labels)) < 0.4
    # few distinct values, so that ties are common
    probabilities = chance.integers(0, steps + 1, (images, labels)) / steps
    outcome = MultiOutcome(np.arange(images), truth, probabilities >= 0.5, probabilities)
    found = {one.label: one for one in tuned(outcome, [str(place) for place in range(labels)])}
    for place in range(labels):
        one = found.get(str(place))
        if one is None:
            # left as it is: no image has the label, or no threshold is better than what stands
            now = f1(truth[:, place], outcome.accepted[:, place])
            others = [f1(truth[:, place], probabilities[:, place] >= least) for least in probabilities[:, place]]
            assert not truth[:, place].any() or now >= max(others) - 1e-9
            continue
        assert one.f1_before is not None
        assert one.f1 > one.f1_before
        assert f1(truth[:, place], probabilities[:, place] >= one.min_probability) == one.f1
        tried = [
            f1(truth[:, place], probabilities[:, place] >= least) for least in [*probabilities[:, place], 0.0, 1.0]
        ]
        assert one.f1 >= max(tried) - 1e-12
        assert one.f1_before == f1(truth[:, place], outcome.accepted[:, place])


@given(seeds, st.integers(1, 40), st.integers(2, 5))
@settings(max_examples=60)
def test_a_tuned_threshold_of_a_choice_is_best_among_the_images_whose_first_label_it_is(
    seed: int, images: int, labels: int
) -> None:
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, labels, images)
    ranked = np.argsort(chance.random((images, labels)), axis=1)
    probability = chance.integers(1, 9, images) / 9
    everything = np.ones(images, dtype=np.bool_)
    outcome = SingleOutcome(np.arange(images), truth, ranked, probability, probability, everything)
    for one in tuned(outcome, [str(place) for place in range(labels)]):
        place = int(one.label)
        first = ranked[:, 0] == place
        assert f1(truth == place, first & (probability >= one.min_probability)) == one.f1
        tried = [f1(truth == place, first & (probability >= least)) for least in [0.0, *probability]]
        assert one.f1 >= max(tried) - 1e-12


@given(st.lists(st.text("aAbB _-", min_size=1, max_size=5), max_size=8), st.lists(st.text("aAbB _-", max_size=5)))
def test_every_class_is_either_known_or_named_as_unknown_and_an_exact_name_wins(
    classes: list[str], labels: list[str]
) -> None:
    known, unknown = places_of(dict.fromkeys(classes), labels)
    assert sorted([*known, *unknown]) == sorted(set(classes))
    for name, place in known.items():
        if name in labels:
            assert labels[place] == name
