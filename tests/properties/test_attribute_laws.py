"""Laws of attributes: a filter finds what Python finds, on both databases, whatever stands in names and values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_fixtures import unit_rows
from pydantic import TypeAdapter, ValidationError

from clipsearch.attributes import AttributeChanges, Attributes, holds, lines_of, merged, pairs, value_of
from clipsearch.database import Database
from clipsearch.database import collections as collection_rows
from clipsearch.database.filtering import filtered_ids
from clipsearch.database.images import NewImage, save_images, set_attributes
from clipsearch.database.models import keep_model
from clipsearch.model import Model
from clipsearch.queries import Filters

HOSTILE = [
    "a", "b", "true", "5", "null", "", "[]", "{}", '"', "'", "\\", '"."', "$", "$.a", "a.b", "a[0]", "%", "_", "Ä", "ä",
    "\u2028", "🐈", "x'; DROP TABLE image; --", "1 OR 1=1", "?", ":name", "{name}", "a\tb",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=8),
)
names = st.one_of(
    st.sampled_from(["a", "b", 'say "a"', "a.b", "$", "a[0]", "Ä", "🐈", "x'; --"]),
    st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"], blacklist_characters=":="), min_size=1, max_size=6),
).filter(lambda name: name == name.strip())
whole = st.integers(-(2**53), 2**53) | st.integers(-3, 3)
broken = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, 1.0, -0.0, 5.0, 1e308, 5e-324, 1 / 3])
single = st.one_of(st.booleans(), whole, broken, texts)
said = st.dictionaries(names, single | st.lists(texts, max_size=4), max_size=4)


@pytest.fixture
def images(database: Database) -> tuple[Database, int, list[int]]:
    """A collection of a few images that stay for all examples; only what is said of them changes."""
    model = Model("tiny/none", 16, 1.0, 0.0, "softmax", "0" * 64)
    with database.write() as connection:
        row = collection_rows.create_collection(connection, "default", model.name)
        number = keep_model(connection, model).id
        revision = collection_rows.advance(connection, row.id)
        rows = [NewImage(uri=f"/{place}.png", vector=vector) for place, vector in enumerate(unit_rows(5))]
        save_images(connection, row.id, revision, number, rows)
        ids = filtered_ids(connection, row.id, Filters()).tolist()
    return database, row.id, ids


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.lists(said, min_size=5, max_size=5), asked=st.data())
def test_a_filter_finds_what_python_finds(
    kept: list[dict[str, Any]], asked: st.DataObject, images: tuple[Database, int, list[int]]
) -> None:
    database, collection_id, ids = images
    there = [(name, value) for one in kept for name, value in one.items()]
    known = st.sampled_from(there).map(lambda pair: {pair[0]: _asked(pair[1])}) if there else st.nothing()
    wanted: Any = asked.draw(known | st.dictionaries(names, single, min_size=1, max_size=2))
    attributes = dict(zip(ids, kept, strict=True))
    with database.write() as connection:
        set_attributes(connection, attributes)
        found = filtered_ids(connection, collection_id, Filters(attributes=wanted)).tolist()
    assert found == [
        number for number in ids if all(holds(attributes[number], name, one) for name, one in wanted.items())
    ]


def _asked(value: Any) -> Any:
    return (value or [""])[-1] if isinstance(value, list) else value


@given(before=said, changes=st.dictionaries(names, single | st.none(), max_size=4))
def test_changes_replace_what_they_name_and_nothing_else(before: dict[str, Any], changes: dict[str, Any]) -> None:
    after = merged(before, TypeAdapter(AttributeChanges).validate_python(changes))
    assert set(after) == {name for name in {**before, **changes} if changes.get(name, 0) is not None}
    assert all(after[name] == changes[name] for name in after if name in changes)
    assert all(after[name] == before[name] for name in after if name not in changes)


@given(name=names, value=texts)
def test_what_is_written_as_a_line_means_the_same_to_whoever_sets_and_whoever_asks(name: str, value: str) -> None:
    given = pairs([f"{name}={value}"], "=")
    assert given == {name: value_of(value)} == pairs([f"{name}:{value}"], ":")
    assert holds(given, name, value_of(value))
    TypeAdapter(Attributes).validate_python(given)


@pytest.mark.parametrize(
    ("line", "meaning"),
    [("5", 5), ("5.0", 5.0), ('"5"', "5"), ("true", True), ("True", "True"), ("007", "007"), ("-1e3", -1000.0),
     ("12345678901234567890", "12345678901234567890"), ("9007199254740993", "9007199254740993"), ("1e999", "1e999"),
     ('"open', '"open'), ("", ""), ("null", "null"), ("nan", "nan"), (" 5", " 5")],
)  # fmt: skip
def test_a_line_is_a_number_only_where_it_loses_nothing(line: str, meaning: Any) -> None:
    assert value_of(line) == meaning
    assert type(value_of(line)) is type(meaning)


@pytest.mark.parametrize(
    "attributes",
    [
        {"": "x"}, {"a" * 65: 1}, {" a": 1}, {"a:b": 1}, {"a=b": 1}, {"a\n": 1}, {"\ud800": 1}, {"a": "\x00"},
        {"a": "\ud800"}, {"a": None}, {"a": float("nan")}, {"a": float("inf")}, {"a": {}}, {"a": [1]}, {"a": [["b"]]},
        {"a": 2**53 + 1}, {"a": "x" * 2_001}, {"a": ["x"] * 257}, {str(number): 1 for number in range(65)},
        {str(number): "x" * 2_000 for number in range(9)},
    ],
)  # fmt: skip
def test_attributes_beyond_the_limits_are_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Attributes).validate_python(attributes)


@pytest.mark.parametrize(
    "wanted",
    [True, False, 5, -2.5, 1e300, 2**53, "5", "true", "", '"', '"quoted"', "a:b", " space ", "1e5", ("Ann", "Bob"),
     ("5", "true"), ("one",), ("5",)],
)  # fmt: skip
def test_a_wanted_value_written_as_lines_means_itself(wanted: Any) -> None:
    read = pairs(lines_of("name", wanted, ":"), ":")["name"]
    # A list of one text finds what that text finds.
    meant = wanted[0] if isinstance(wanted, tuple) and len(wanted) == 1 else wanted
    assert (read, type(read)) == (meant, type(meant))
