"""Labels and templates to prompts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clipsearch.errors import EmptyText, InvalidInput, InvalidLabelSet, InvalidTemplate, TextTooLong
from clipsearch.prompts import check_set_name, check_template, clean_text, fill, plain_words, prompts_of


@given(st.text(), st.text(st.characters(exclude_characters="{}")), st.text(st.characters(exclude_characters="{}")))
def test_filling_puts_the_label_in_its_place_whatever_it_holds(label: str, before: str, after: str) -> None:
    assume(not before.endswith("a(n) "))  # which asks for the article
    assert fill(f"{before}{{}}{after}", label) == before + label + after


@pytest.mark.parametrize("template", ["a photo", "", "{} and {}", "{0}", "{ }", "{name}"])
def test_a_template_holds_its_place_exactly_once(template: str) -> None:
    with pytest.raises((InvalidTemplate, EmptyText)):
        check_template(template)


@pytest.mark.parametrize("template", ["{}", "a {} {", "a photo of {0} {}"])
def test_other_braces_are_letters(template: str) -> None:
    assert check_template(template) == template


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u2003"])
def test_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(EmptyText):
        clean_text(text)


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d", "x\udcff"])
def test_what_no_database_can_keep_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        clean_text(text)


def test_text_is_composed_trimmed_and_limited() -> None:
    assert clean_text("  cafe\u0301 ") == "caf\u00e9"
    assert len(clean_text("x" * 10_000)) == 10_000
    with pytest.raises(TextTooLong, match="10001 characters; the limit is 10000"):
        clean_text("x" * 10_001)


@given(st.lists(st.text(min_size=1)), st.lists(st.just("a {}") | st.just("{}")))
def test_every_template_meets_every_text_once(texts: list[str], templates: list[str]) -> None:
    pairs = prompts_of(texts, templates)
    assert set(pairs) == {(template, text) for template in templates for text in texts}
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    ("name", "words"),
    [("cat", "cat"), ("hot_dog", "hot dog"), ("_", "_"), ("n02123045_tabby_cat", "tabby cat"),
     ("n02123045", "n02123045"), ("T-shirt", "T-shirt"), ("a  b", "a b")],
)  # fmt: skip
def test_a_name_is_said_without_underscores_and_numbers(name: str, words: str) -> None:
    assert plain_words(name) == words


@pytest.mark.parametrize(
    ("text", "article"),
    [("apple", "an"), ("cat", "a"), ("umbrella", "an"), ("unicycle", "a"), ("uniform", "a"), ("hourglass", "an"),
     ("ukulele", "a"), ("European hedgehog", "a"), ("orange", "an"), ("unusual cat", "an"), ("USB stick", "a"),
     ("one-way sign", "a"), ("ice", "an"), ("igloo", "an"), ("undershirt", "an")],
)  # fmt: skip
def test_a_template_may_ask_for_the_article_that_fits(text: str, article: str) -> None:
    assert fill("a photo of a(n) {}.", text) == f"a photo of {article} {text}."
    assert fill("a photo of a {}.", text) == f"a photo of a {text}."


@pytest.mark.parametrize("name", [".", "..", " .. "])
def test_a_set_is_not_named_like_a_folder_of_every_path(name: str) -> None:
    with pytest.raises(InvalidLabelSet, match="neither"):
        check_set_name(name)
