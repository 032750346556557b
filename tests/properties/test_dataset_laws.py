"""Laws of datasets: parts hang on contents alone, and every name is one that file systems take, once."""

from __future__ import annotations

import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.datasets import PARTS, Split
from clipsearch.datasets.names import TakenNames, class_folders, safe_file_name, safe_name
from clipsearch.errors import InvalidInput

shares = st.floats(min_value=0, max_value=1e6, allow_nan=False)
splits = (
    st.tuples(shares, shares, shares)
    .filter(lambda three: sum(three) > 0)
    .flatmap(lambda three: st.builds(Split, *map(st.just, three), seed=st.integers(min_value=0, max_value=9)))
)
texts = st.text(max_size=200) | st.sampled_from(["con", "LPT1.txt", "..", ".", " ", "nul", "a\0b", "aux ", "~", "-rf"])


@given(splits, st.lists(st.text(alphabet="0123456789abcdef", max_size=64), max_size=30))
def test_shares_add_up_and_a_part_hangs_on_the_content_alone(split: Split, keys: list[str]) -> None:
    assert sum(split.shares) == pytest.approx(1)
    alone = [split.part_of(key) for key in keys]
    assert alone == [split.part_of(key) for key in reversed(keys)][::-1]
    assert set(alone) <= set(split.parts)
    again = Split(*split.shares, seed=split.seed)
    assert [again.part_of(key) for key in keys] == alone or split.shares != again.shares


@given(st.floats(min_value=0.01, max_value=0.99), st.floats(min_value=0, max_value=0.99), st.integers(0, 99))
def test_a_larger_share_of_training_takes_nothing_out_of_it(share: float, more: float, seed: int) -> None:
    small = Split(share, 1 - share, 0, seed=seed)
    large = Split(share + more * (1 - share), 1 - (share + more * (1 - share)), 0, seed=seed)
    keys = [f"{number:064x}" for number in range(50)]
    trained = {key for key in keys if small.part_of(key) == "train"}
    assert trained <= {key for key in keys if large.part_of(key) == "train"}


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_are_about_as_large_as_asked_for_and_another_seed_makes_others(seed: int) -> None:
    keys = [f"{number:064x}" for number in range(20_000)]
    parts = [Split(80, 10, 10, seed=seed).part_of(key) for key in keys]
    assert [parts.count(part) / len(keys) for part in PARTS] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert parts != [Split(80, 10, 10, seed=seed + 1).part_of(key) for key in keys]


@pytest.mark.parametrize("bad", [(0, 0, 0), (-1, 2, 0), (float("nan"), 1, 1), (float("inf"), 1, 1), (1e308, 1e308, 0)])
def test_shares_that_are_none_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidInput):
        Split(*bad)


@given(texts)
def test_a_name_is_one_that_every_file_system_takes(text: str) -> None:
    for name in (safe_name(text), safe_file_name(text)):
        assert name
        assert name not in {".", ".."}
        assert not set(name) & set('<>:"/\\|?*')
        assert name.isprintable()
        assert len(name.encode()) <= 140
        assert not name.startswith((".", "-", " "))
        assert not name.endswith((".", " "))
        assert unicodedata.is_normalized("NFC", name)
        assert not PureWindowsPath(name).is_reserved()
    assert safe_name(safe_name(text)) == safe_name(text)


@given(st.lists(texts, max_size=40))
def test_no_two_classes_share_a_folder_and_the_same_classes_have_the_same(names: list[str]) -> None:
    folders = class_folders(names)
    folded = {unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()) for name in folders}
    assert len(folded) == len(names)
    assert folders == class_folders(names)


@given(st.lists(st.sampled_from(["a.jpg", "A.jpg", "a-2.jpg", "a", "a-2-2.jpg", "é.png", "e\u0301.png"]), max_size=30))
def test_a_name_is_given_once_whatever_was_asked_before(names: list[str]) -> None:
    taken = TakenNames()
    given_names = [taken.take(name) for name in names]
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in given_names}
    assert len(folded) == len(names)
