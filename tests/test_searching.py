"""Searching: by text, picture, stored image, vector and mixes of them; filters; what is left out and what is said."""

from __future__ import annotations

import base64
import datetime as dt
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_fixtures import exif_block
from library_fixtures import CountingEncoder, draw, draw_many, index, library_with, picture, sqlite_url, unit_rows
from numpy.typing import NDArray
from pydantic import ValidationError

from clipsearch import browsing
from clipsearch.answers import SearchAnswer
from clipsearch.database import collections as collection_rows
from clipsearch.database import embeddings as embedding_rows
from clipsearch.errors import (
    CollectionNotFound,
    EmptyText,
    ImageNotFound,
    InvalidFilter,
    InvalidInput,
    InvalidVector,
    ModelUnavailable,
    TextTooLong,
    UnreadableImage,
)
from clipsearch.importing import import_embeddings
from clipsearch.library import Library
from clipsearch.queries import Filters, Query, Term
from clipsearch.searching import search, search_many
from clipsearch.vector_index import build_index

Rows = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, shared_encoder: Any
) -> tuple[Library, Path, CountingEncoder]:
    """A library of forty pictures in two folders, in several formats and sizes, with dates; no test changes it."""
    base = tmp_path_factory.mktemp("searching")
    sqlite_url(base / "data", migrated_file)
    encoder = CountingEncoder(shared_encoder)
    library = library_with(encoder, base / "data")
    photos = base / "photos"
    for seed in range(40):
        folder, suffix = ("2023", "jpg") if seed < 15 else ("2024", "png")
        options: dict[str, Any] = {}
        if seed < 10:
            options["exif"] = exif_block(taken=f"2023:05:{seed + 1:02} 12:00:00")
        path = photos / folder / f"{seed:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed, (20 + seed, 60 - seed)).save(path, **options)
        stamp = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp() + seed * 86_400) * 10**9
        os.utime(path, ns=(stamp, stamp))
    index(library, photos)
    return library, photos, encoder


@pytest.fixture(scope="module")
def rows(filled: tuple[Library, Path, CountingEncoder]) -> Rows:
    """Every image's embedding as it is kept, by file name."""
    library, *_ = filled
    listed = browsing.list_images(library, limit=1_000)
    with library.database.read() as connection:
        vectors = embedding_rows.vectors_of(connection, 1, 24, [one.id for one in listed])
    return {os.path.basename(one.uri): vectors[one.id] for one in listed}


def names(answer: SearchAnswer) -> list[str]:
    return [os.path.basename(hit.image.uri) for hit in answer.hits]


def ask(filled: tuple[Library, Path, CountingEncoder], *terms: Term, **options: Any) -> SearchAnswer:
    return search(filled[0], Query(terms=terms, **options))


def vector(values: NDArray[Any], weight: float = 1.0) -> Term:
    return Term(vector=tuple(values.tolist()), weight=weight)


def number_of(library: Library, name: str) -> int:
    return next(one.id for one in browsing.list_images(library, limit=1_000) if one.uri.endswith(name))


# Queries ---------------------------------------------------------------------------------------------------


def test_a_search_by_text_ranks_every_image_by_its_cosine(filled: Any, rows: Rows) -> None:
    direction = filled[2].encode_texts(["a dog on a beach"]).vectors[0]
    answer = ask(filled, Term(text="a dog on a beach"), k=40)
    scores = {name: float(row @ direction) for name, row in rows.items()}
    assert [hit.rank for hit in answer.hits] == list(range(1, 41))
    assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
    for hit in answer.hits:
        assert hit.score == pytest.approx(scores[os.path.basename(hit.image.uri)], abs=1e-3)
    assert not answer.truncated
    assert not answer.stale
    assert answer.revision == filled[0].collection().revision


@pytest.mark.parametrize("place", [0, 14, 22, 39])
def test_a_picture_finds_itself_as_file_and_as_bytes(filled: Any, place: int) -> None:
    path = sorted(filled[1].rglob("*.*g"))[place]
    for term in (Term(image=path), Term(image=path.read_bytes())):
        answer = ask(filled, term, k=1)
        assert names(answer) == [path.name]
        assert answer.hits[0].score > 0.999


def test_the_images_most_like_a_stored_one_are_found_without_it_and_without_a_model(filled: Any, rows: Rows) -> None:
    number = number_of(filled[0], "07.jpg")
    encoded = filled[2].images
    answer = ask(filled, Term(image_id=number), k=40)
    assert len(answer.hits) == 39
    assert "07.jpg" not in names(answer)
    best = max((name for name in rows if name != "07.jpg"), key=lambda name: float(rows[name] @ rows["07.jpg"]))
    assert answer.hits[0].score == pytest.approx(float(rows[best] @ rows["07.jpg"]), abs=1e-3)
    assert filled[2].images == encoded


def test_the_length_of_a_vector_does_not_matter(filled: Any, rows: Rows) -> None:
    once = ask(filled, vector(rows["20.png"]), k=5)
    again = ask(filled, vector(rows["20.png"] * 1e6), k=5)
    assert names(once) == names(again)
    assert once.hits[0].score == pytest.approx(again.hits[0].score, abs=1e-5)


def test_a_mix_is_the_direction_of_the_weighted_sum(filled: Any, rows: Rows) -> None:
    text = filled[2].encode_texts(["boat"]).vectors[0]
    wanted = 0.7 * text + 0.5 * rows["03.jpg"] - 0.4 * rows["30.png"]
    wanted /= np.linalg.norm(wanted)
    number = number_of(filled[0], "03.jpg")
    answer = ask(filled, Term(text="boat", weight=0.7), Term(image_id=number, weight=0.5),
                 vector(rows["30.png"], -0.4), k=40)  # fmt: skip
    assert "03.jpg" not in names(answer)
    for hit in answer.hits:
        assert hit.score == pytest.approx(float(rows[os.path.basename(hit.image.uri)] @ wanted), abs=2e-3)
        assert -1.0 <= hit.score <= 1.0


def test_a_negative_weight_leads_away(filled: Any, rows: Rows) -> None:
    assert names(ask(filled, vector(rows["05.jpg"], -1.0), k=40))[-1] == "05.jpg"


@given(
    st.lists(
        st.tuples(st.sampled_from(["00.jpg", "13.jpg", "25.png", "39.png"]), st.floats(-2, 2).filter(lambda w: w != 0)),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_gives_the_exact_order_or_says_that_nothing_is_left(
    filled: Any, rows: Rows, parts: list[tuple[str, float]]
) -> None:
    direction = np.sum([weight * rows[name].astype(np.float64) for name, weight in parts], axis=0)
    length = np.linalg.norm(direction)
    terms = [vector(rows[name], weight) for name, weight in parts]
    if length < 2e-3 * sum(abs(weight) for _, weight in parts):
        return  # the edge itself is tested below
    answer = ask(filled, *terms, k=40)
    exact = {name: float(row @ direction / length) for name, row in rows.items()}
    assert [exact[name] for name in names(answer)] == pytest.approx(sorted(exact.values(), reverse=True), abs=2e-3)


def test_terms_that_cancel_each_other_out_are_refused(filled: Any, rows: Rows) -> None:
    with pytest.raises(InvalidVector, match="cancel each other out"):
        ask(filled, Term(text="cat"), Term(text="cat", weight=-1.0))
    with pytest.raises(InvalidVector, match="cancel each other out"):
        ask(filled, Term(text="cat", weight=0.0))
    with pytest.raises(InvalidVector, match="cancel each other out"):
        ask(filled, vector(rows["00.jpg"]), vector(rows["00.jpg"] * 7, -1.0))


@pytest.mark.parametrize("values", [(0.0,) * 24, (1.0,) * 23, (1.0,) * 25, (1e-30,) * 24, (1e200,) * 24])
def test_a_vector_without_direction_or_of_another_length_is_refused_or_scaled(
    filled: Any, values: tuple[float, ...]
) -> None:
    if values[0] == 1e200:
        with pytest.raises(InvalidVector, match="not finite"):
            ask(filled, Term(vector=values))
        return
    with pytest.raises(InvalidVector, match=r"dimensions|zero"):
        ask(filled, Term(vector=values))


@pytest.mark.parametrize("text", ["", "  \n "])
def test_empty_text_is_an_error_also_where_there_is_nothing_to_find(filled: Any, library: Library, text: str) -> None:
    with pytest.raises(EmptyText):
        ask(filled, Term(text=text))
    library.create_collection("default", "demo")
    with pytest.raises(EmptyText):
        search(library, Query(terms=(Term(text=text),)))


def test_text_beyond_the_context_is_cut_and_the_answer_says_so(filled: Any) -> None:
    assert ask(filled, Term(text="dog " * 80)).truncated
    assert not ask(filled, Term(text="dog " * 20)).truncated
    with pytest.raises((TextTooLong, ValidationError)):
        ask(filled, Term(text="x" * 10_001))


def test_an_empty_collection_answers_that_it_is_empty(library: Library) -> None:
    library.create_collection("default", "demo")
    answer = search(library, Query(terms=(Term(text="dog"),)))
    assert (answer.hits, answer.notice) == ([], "the collection 'default' holds no images yet")


def test_what_is_not_there_is_named(filled: Any, photos: Path) -> None:
    with pytest.raises(CollectionNotFound):
        search(filled[0], Query(terms=(Term(text="x"),)), collection="nowhere")
    with pytest.raises(ImageNotFound):
        ask(filled, Term(image_id=999_999))
    with pytest.raises(UnreadableImage):
        ask(filled, Term(image=photos / "none.jpg"))
    with pytest.raises(UnreadableImage):
        ask(filled, Term(image=b"no image"))


def test_a_model_that_cannot_be_loaded_is_told_and_stored_vectors_are_searched_without_it(
    filled: Any, encoder: CountingEncoder, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with library_with(encoder, filled[0].settings.data_dir) as library:
        library._encoders.clear()

        def gone(_name: str) -> Any:
            raise ModelUnavailable("no weights here")

        monkeypatch.setattr(library, "encoder", gone)
        with pytest.raises(ModelUnavailable):
            search(library, Query(terms=(Term(text="dog"),)))
        number = number_of(library, "07.jpg")
        assert len(search(library, Query(terms=(Term(image_id=number), vector(rows["01.jpg"])))).hits) == 20


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"text": "a", "image_id": 1},
        {"image_id": 0},
        {"image_id": 2**63},
        {"text": "a", "weight": float("nan")},
        {"text": "a", "weight": 1e9},
        {"vector": ()},
        {"vector": (float("inf"),)},
        {"text": "a\x00"},
        {"text": "\ud83d"},
        {"text": "a", "colour": "red"},
    ],
)
def test_a_term_is_one_thing_and_finite(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Term(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"k": 0},
        {"k": 1_001},
        {"offset": -1},
        {"offset": 9_999, "k": 2},
        {"min_score": 1.1},
        {"min_score": float("nan")},
        {"terms": ()},
        {"terms": (Term(text="x"),) * 17},
    ],
)
def test_a_query_has_its_limits(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Query(**{"terms": (Term(text="x"),)} | values)


# How much ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "offset"), [(1, 0), (7, 0), (7, 7), (10, 35), (5, 40), (100, 0), (3, 39)])
def test_pages_are_pieces_of_one_list(filled: Any, rows: Rows, k: int, offset: int) -> None:
    whole = ask(filled, vector(rows["11.jpg"]), k=100)
    page = ask(filled, vector(rows["11.jpg"]), k=k, offset=offset)
    assert page.hits == whole.hits[offset : offset + k]
    if not page.hits:
        assert page.notice == "there are no more images"


def test_scores_below_the_least_are_left_out(filled: Any, rows: Rows) -> None:
    whole = ask(filled, vector(rows["11.jpg"]), k=100)
    least = whole.hits[12].score
    assert ask(filled, vector(rows["11.jpg"]), k=100, min_score=least).hits == whole.hits[:13]
    assert ask(filled, vector(-rows["11.jpg"]), min_score=0.99).notice == "no image reaches the score 0.99"


# Filters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [dt.date(2023, 5, 4), "2023-05-04"])
def test_a_date_means_its_whole_day_as_text_and_as_a_date(filled: Any, rows: Rows, last: Any) -> None:
    assert Filters(taken_to=last).taken_to == dt.datetime(2023, 5, 4, 23, 59, 59, 999_999)  # noqa: DTZ001  as said
    assert len(ask(filled, vector(rows["20.png"]), filters=Filters(taken_to=last), k=100).hits) == 4
    assert Filters(taken_to=dt.datetime(2023, 5, 4)).taken_to == dt.datetime(2023, 5, 4)  # noqa: DTZ001  as said


@pytest.mark.parametrize("name", ["taken_from", "taken_to"])
@pytest.mark.parametrize("number", ["1717113600", "20240531", "-1.5"])
def test_a_number_written_for_a_date_is_refused_and_not_taken_for_seconds(name: str, number: str) -> None:
    with pytest.raises(ValidationError, match="a date like 2024-05-31"):
        Filters.model_validate({name: number})


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"path_glob": "*.png"}, range(15, 40)),
        ({"path_glob": "2023/0*.jpg"}, range(10)),
        ({"path_glob": "*/2024/*"}, range(15, 40)),
        ({"path_glob": "[12]?.*"}, range(10, 30)),
        ({"path_glob": "*.PNG"}, []),
        ({"formats": ["jpg"]}, range(15)),
        ({"formats": ["PNG", "JPEG"]}, range(40)),
        ({"formats": []}, []),
        ({"formats": ["'; DROP TABLE image; --"]}, []),
        ({"min_width": 50}, range(30, 40)),
        ({"max_width": 30, "max_height": 55}, range(5, 11)),
        ({"min_height": 60}, [0]),
        ({"taken_to": "2023-05-04"}, range(4)),
        ({"taken_from": "2023-05-03T12:00:00", "taken_to": "2023-05-05T11:59:59"}, [2, 3]),
        ({"taken_from": "2024-02-01"}, range(31, 40)),
        ({"taken_from": "2024-02-01T00:00:00+01:00"}, range(31, 40)),
        ({"taken_from": "2024-02-01T01:00:01+01:00"}, range(32, 40)),
        ({"path_glob": "*.png", "min_width": 45, "taken_to": "2024-01-31"}, range(25, 31)),
        ({"path_prefix": "/nowhere/"}, []),
    ],
)
def test_only_what_passes_every_filter_is_found_in_the_order_of_the_whole(
    filled: Any, rows: Rows, filters: dict[str, Any], wanted: range
) -> None:
    whole = ask(filled, vector(rows["20.png"]), k=100)
    found = ask(filled, vector(rows["20.png"]), k=100, filters=Filters.model_validate(filters))
    assert {int(name[:2]) for name in names(found)} == set(wanted)
    assert names(found) == [name for name in names(whole) if int(name[:2]) in wanted]
    if not found.hits:
        assert found.notice == "no image of the collection passes the filters"


def test_a_path_prefix_is_taken_letter_for_letter(filled: Any, rows: Rows) -> None:
    for prefix, count in ((f"{filled[1]}/2023", 15), (f"{filled[1]}/", 40), (f"{filled[1]}/%", 0), ("%", 0)):
        assert len(ask(filled, vector(rows["20.png"]), k=100, filters=Filters(path_prefix=prefix)).hits) == count


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", '"', "\\", "[", "*[", "**", "?", "\U0001f600", "a" * 1_999])
def test_whatever_a_filter_holds_is_text(filled: Any, rows: Rows, text: str) -> None:
    for filters in (Filters(path_prefix=text), Filters(formats=(text,)), Filters(path_glob=text + "x")):
        assert ask(filled, vector(rows["20.png"]), filters=filters).hits == []


def test_the_date_is_the_cameras_where_it_has_one_and_the_files_where_not(filled: Any) -> None:
    shown = {os.path.basename(one.uri): one.taken_at for one in browsing.list_images(filled[0], limit=100)}
    assert shown["02.jpg"] == dt.datetime(2023, 5, 3, 12, tzinfo=dt.UTC)
    assert shown["12.jpg"] == dt.datetime(2024, 1, 13, tzinfo=dt.UTC)


@pytest.mark.servers
def test_filters_mean_the_same_on_a_server(
    tmp_path: Path, postgres_url: str, encoder: CountingEncoder, photos: Path
) -> None:
    with library_with(encoder, tmp_path / "data", database_url=postgres_url) as library:
        for seed in range(6):
            taken = exif_block(taken=f"2023:05:{seed + 1:02} 12:00:00")
            draw(photos / f"A{seed}_%.jpg", seed, exif=taken)
        index(library, photos)
        for filters, count in (
            (Filters(path_prefix=f"{photos}/A"), 6),
            (Filters(path_prefix=f"{photos}/a"), 0),
            (Filters(path_glob="A[0-2]*"), 3),
            (Filters(taken_from="2023-05-02T12:00:00", taken_to="2023-05-04"), 3),  # type: ignore[arg-type]
            (Filters(formats=("jpeg",), min_width=24, max_height=20), 6),
            (Filters(min_width=25), 0),
        ):
            query = Query(terms=(Term(vector=(1.0,) * 24),), filters=filters)
            assert len(search(library, query).hits) == count


# Duplicates ----------------------------------------------------------------------------------------------


def test_near_duplicates_fall_into_one_hit_before_the_cut(library: Library, photos: Path) -> None:
    for number in range(8):
        draw(photos / f"same{number}.png", seed=5)
    picture(5).save(photos / "same.jpg", quality=95)
    draw_many(photos, 6, start=20)
    index(library, photos)
    term = Term(image=photos / "same0.png")
    plain = search(library, Query(terms=(term,), k=5))
    assert all(name.startswith("same") for name in names(plain))
    collapsed = search(library, Query(terms=(term,), k=5, collapse_duplicates=True))
    assert len(collapsed.hits) == 5
    assert len(collapsed.hits[0].duplicates) == 8
    assert sum(name.startswith("same") for name in names(collapsed)) == 1
    seen = [number for hit in collapsed.hits for number in (hit.image.id, *hit.duplicates)]
    assert len(seen) == len(set(seen))
    second = search(library, Query(terms=(term,), k=2, offset=1, collapse_duplicates=True))
    assert [hit.image.id for hit in second.hits] == [hit.image.id for hit in collapsed.hits[1:3]]


# While the collection changes ------------------------------------------------------------------------------


def test_an_answer_knows_the_last_committed_change(library: Library, photos: Path) -> None:
    paths = draw_many(photos, 3)
    index(library, photos)
    assert names(search(library, Query(terms=(Term(image=paths[2]),), k=1))) == ["0002.png"]
    browsing.remove_images(library, [str(paths[2])])
    assert "0002.png" not in names(search(library, Query(terms=(Term(image=paths[2]),), k=3)))


def test_who_does_not_want_to_wait_gets_the_former_index_and_is_told(library: Library, photos: Path) -> None:
    draw_many(photos, 3)
    index(library, photos)
    row = library.collection()
    before = library.index(row)
    assert before is not None
    draw_many(photos, 3, start=3)
    index(library_with(library._encoders[row.model_name], library.settings.data_dir), photos)  # type: ignore[arg-type]
    held = library._indexes._held(row)
    with held.lock:
        answer = search(library, Query(terms=(Term(vector=(1.0,) * 24),), k=10), wait=False)
    assert (answer.stale, len(answer.hits), answer.revision) == (True, 3, before.revision)
    answer = search(library, Query(terms=(Term(vector=(1.0,) * 24),), k=10), wait=False)
    assert (answer.stale, len(answer.hits)) == (False, 6)


def test_searches_beside_a_writer_never_fail_and_never_give_what_is_gone(library: Library, photos: Path) -> None:
    paths = draw_many(photos, 40)
    index(library, photos)
    done = threading.Event()
    trouble: list[BaseException] = []
    counts: set[int] = set()

    def look() -> None:
        try:
            while not done.is_set():
                counts.add(len(search(library, Query(terms=(Term(vector=(1.0,) * 24),), k=100)).hits))
        except BaseException as error:
            trouble.append(error)
            raise

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(4):
            for path in paths[turn * 5 : turn * 5 + 5]:
                path.unlink()
            index(library, photos)
            assert len(search(library, Query(terms=(Term(vector=(1.0,) * 24),), k=100)).hits) == 35 - turn * 5
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert trouble == []
    assert counts <= set(range(20, 41))


def test_an_image_whose_embedding_was_lost_is_told_apart_from_one_that_never_was(
    library: Library, photos: Path
) -> None:
    paths = draw_many(photos, 3)
    index(library, photos)
    number = number_of(library, paths[0].name)
    with library.database.write() as connection:
        revision = collection_rows.advance(connection, library.collection().id)
        connection.exec_driver_sql(f"DELETE FROM embedding WHERE image_id = {number}")
        connection.exec_driver_sql(f"UPDATE image SET revision = {revision} WHERE id = {number}")
    with pytest.raises(InvalidInput, match="has no embedding"):
        search(library, Query(terms=(Term(image_id=number),)))
    assert len(search(library, Query(terms=(Term(vector=(1.0,) * 24),))).hits) == 2


def test_a_collapsed_search_on_cells_repeats_nothing_misses_nothing_and_pages_like_an_exact_one(
    library: Library, tmp_path: Path
) -> None:
    kinds = np.repeat(unit_rows(300), 10, axis=0)
    rows = kinds + 0.02 * unit_rows(3_000, seed=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "names.txt").write_text("\n".join(f"picture {number}" for number in range(3_000)))
    import_embeddings(library, tmp_path / "rows.npy", tmp_path / "names.txt", model="ViT-B-32/openai", logit_scale=100)
    with library.database.write() as connection:
        connection.exec_driver_sql("UPDATE image SET content_hash = (id - 1) / 10")
    held = library._indexes._held(library.collection())
    assert held.view is not None
    ids = held.view.index.ids()
    cells: Any = build_index(16, ids, held.view.index.vectors(ids), exact_bytes=1_000)
    cells.segments[0].cells.probes = 5  # so few miss some of the best
    held.view = replace(held.view, index=cells)
    assert held.view.index.kind == "ivf_sq8"
    term = vector(rows[0] + rows[100] + rows[200])
    exact = search(library, Query(terms=(term,), k=40, collapse_duplicates=True, exact=True))
    found = search(library, Query(terms=(term,), k=40, collapse_duplicates=True))
    assert len(exact.hits) == 40
    assert found.hits == exact.hits
    pages = [search(library, Query(terms=(term,), k=10, offset=start, collapse_duplicates=True)) for start in (0, 20)]
    ids_of = [[hit.image.id for hit in answer.hits] for answer in (exact, *pages)]
    assert ids_of[1:] == [ids_of[0][:10], ids_of[0][20:30]]


def test_one_damaged_embedding_costs_one_image_and_a_warning_not_the_search(
    library: Library, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw_many(photos, 5)
    index(library, photos)
    number = number_of(library, "0003.png")
    damage(library, number)
    with caplog.at_level("WARNING"):
        library.rebuild_index(library.collection())
        answer = search(library, Query(terms=(Term(vector=(1.0,) * 24),), k=10))
    assert sorted(names(answer)) == ["0000.png", "0001.png", "0002.png", "0004.png"]
    assert [one.getMessage() for one in caplog.records if "damaged" in one.getMessage()] == [
        "1 images are not found, because their embeddings are damaged; run: clipsearch doctor"
    ]
    with pytest.raises(InvalidInput, match="has no embedding"):
        search(library, Query(terms=(Term(image_id=number),)))


def test_a_copy_of_a_file_whose_embedding_is_damaged_is_embedded_anew(
    library: Library, photos: Path, encoder: CountingEncoder
) -> None:
    paths = draw_many(photos, 3)
    index(library, photos)
    damage(library, number_of(library, paths[1].name))
    (photos / "copy.png").write_bytes(paths[1].read_bytes())
    encoded = encoder.images
    assert [os.path.basename(uri) for uri in index(library, photos).added] == ["copy.png"]
    assert encoder.images == encoded + 1
    answer = search(library, Query(terms=(Term(image=paths[1]),), k=1))
    assert (names(answer), answer.hits[0].score > 0.999) == (["copy.png"], True)


def damage(library: Library, number: int) -> None:
    """Zero the embedding of an image, as a fault of the disk may, and have it read again."""
    with library.database.write() as connection:
        revision = collection_rows.advance(connection, library.collection().id)
        connection.exec_driver_sql(f"UPDATE embedding SET vector = zeroblob(48) WHERE image_id = {number}")
        connection.exec_driver_sql(f"UPDATE image SET revision = {revision} WHERE id = {number}")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_date_outside_the_calendar_is_refused(library: Library, photos: Path, moment: str) -> None:
    draw_many(photos, 1)
    index(library, photos)
    query = Query.model_validate({"terms": [{"vector": (1.0,) * 24}], "filters": {"taken_from": moment}})
    with pytest.raises(InvalidFilter, match="calendar"):
        search(library, query)


# Several at once -------------------------------------------------------------------------------------------

VECTORS = unit_rows(6, 24, seed=3)
SOME_TERMS = st.lists(
    st.one_of(
        st.sampled_from(["a dog", "the sea", "a red car"]).map(lambda text: Term(text=text)),
        st.integers(1, 40).map(lambda number: Term(image_id=number, weight=0.5)),
        st.integers(0, 5).map(lambda place: vector(VECTORS[place])),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
SOME_FILTERS = st.sampled_from([Filters(), Filters(path_glob="*2024*"), Filters(min_width=10_000)])
SOME_QUERIES = st.builds(
    Query,
    terms=SOME_TERMS,
    filters=SOME_FILTERS,
    k=st.integers(1, 12),
    offset=st.integers(0, 45),
    collapse_duplicates=st.booleans(),
    exact=st.booleans(),
)


@given(st.lists(SOME_QUERIES, min_size=1, max_size=8))
@settings(max_examples=40)
def test_several_searches_at_once_answer_as_one_after_the_other(filled: Any, queries: list[Query]) -> None:
    together = search_many(filled[0], queries)
    for answer, query in zip(together, queries, strict=True):
        alone = search(filled[0], query)
        assert answer.model_copy(update={"hits": []}) == alone.model_copy(update={"hits": []})
        assert [hit.rank for hit in answer.hits] == [hit.rank for hit in alone.hits]
        assert [hit.score for hit in answer.hits] == pytest.approx([hit.score for hit in alone.hits], abs=1e-5)
        scores = [hit.score for hit in alone.hits]
        if len(scores) == len({round(score, 4) for score in scores}):
            assert [hit.image for hit in answer.hits] == [hit.image for hit in alone.hits]


def test_the_texts_of_several_searches_are_encoded_together(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    encode = CountingEncoder.encode_texts

    def listen(self: CountingEncoder, texts: Any) -> Any:
        asked.append(list(texts))
        return encode(self, texts)

    monkeypatch.setattr(CountingEncoder, "encode_texts", listen)
    one, two = Query(terms=(Term(text="a dog"), Term(text="a cat", weight=-0.5))), Query(terms=(Term(text="a car"),))
    search_many(filled[0], [one, Query(terms=(Term(image_id=1),)), two])
    assert asked == [["a dog", "a cat", "a car"]]


def test_no_query_is_no_answer_and_too_many_are_refused(filled: Any) -> None:
    assert search_many(filled[0], []) == []
    with pytest.raises(InvalidInput, match="33 queries at once are too many; ask up to 32"):
        search_many(filled[0], [Query(terms=(Term(image_id=1),))] * 33)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (Term(text=" "), EmptyText),
        (Term(image_id=999), ImageNotFound),
        (Term(vector=(1.0, 2.0)), InvalidVector),
        (Term(image=b"no picture"), UnreadableImage),
    ],
)
def test_an_error_of_one_query_fails_all_and_names_its_place(filled: Any, wrong: Term, error: type[Exception]) -> None:
    right = Query(terms=(Term(image_id=1),))
    with pytest.raises(error, match=r"^queries\[1\]: ") as caught:
        search_many(filled[0], [right, Query(terms=(wrong,)), right])
    assert caught.value.details["query"] == 1  # type: ignore[attr-defined]
    with pytest.raises(error) as alone:
        search_many(filled[0], [Query(terms=(wrong,))])
    assert "queries[" not in str(alone.value)


def test_a_text_that_the_model_makes_nothing_of_is_named_among_several(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: CountingEncoder, _texts: Any) -> Any:
        raise InvalidVector("not a number", positions=[2])

    monkeypatch.setattr(CountingEncoder, "encode_texts", refuse)
    one, two = Query(terms=(Term(text="a dog"), Term(text="a cat"))), Query(terms=(Term(text="a car"),))
    with pytest.raises(InvalidVector, match=r"queries\[1\]: not a number"):
        search_many(filled[0], [one, two])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=60))
def test_a_vector_in_base64_is_the_list_of_its_numbers(numbers: list[float]) -> None:
    packed = base64.b64encode(np.array(numbers, dtype="<f4").tobytes()).decode()
    assert Term.model_validate({"vector": packed}) == Term(vector=tuple(numbers))


@pytest.mark.parametrize("packed", ["", "****", "AAAA", "AAAAAAA=", base64.b64encode(b"\x00\x00\xc0\x7f").decode()])
def test_base64_that_holds_no_finite_numbers_is_no_vector(packed: str) -> None:
    with pytest.raises(ValidationError):
        Term.model_validate({"vector": packed})
