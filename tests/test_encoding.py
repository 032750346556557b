"""Encoding: texts and pictures to unit rows with the lengths they had, in order, by the model that was asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from cli_fixtures import indexed_shelf
from library_fixtures import CountingEncoder, draw_many, index, library_with, picture, unit_rows
from PIL import Image
from sqlalchemy import event, update

from clipsearch.browsing import list_images
from clipsearch.database.schema import embedding
from clipsearch.encoding import encode_pictures, encode_texts, stored_encodings
from clipsearch.errors import (
    CollectionNotFound,
    EmptyText,
    ImageNotFound,
    InvalidInput,
    ModelNotFound,
    TextTooLong,
    UnreadableImage,
)
from clipsearch.importing import import_embeddings
from clipsearch.indexing import index_source
from clipsearch.library import Library


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


def test_texts_come_back_in_order_at_unit_length_with_the_length_they_had(
    library: Library, encoder: CountingEncoder
) -> None:
    texts = ["a cat", " two dogs ", "a cat"]
    found = encode_texts(library, texts)
    assert found.vectors.dtype == np.float32
    assert found.vectors.shape == (3, encoder.model.dimension)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(found.vectors[0], found.vectors[2])
    direct = encoder.inner.encode_texts(["a cat", "two dogs", "a cat"])
    np.testing.assert_allclose(found.raw, direct.vectors * direct.norms[:, None], rtol=1e-6)
    assert (found.norms > 0).all()
    assert (abs(found.norms - 1) > 1e-3).any()
    assert found.model == encoder.model


def test_a_text_beyond_the_context_is_said_to_be_cut(library: Library) -> None:
    assert encode_texts(library, ["a cat", "word " * 500]).truncated == (False, True)


def test_pictures_are_encoded_as_an_index_has_them_across_batches(library: Library, photos: Path) -> None:
    paths = draw_many(photos, 20)
    index(library, photos)
    found = encode_pictures(library, [paths[0].read_bytes(), *paths[1:]])
    assert len(found.vectors) == 20
    ids = [one.id for one in list_images(library)]
    stored = stored_encodings(library, ids)
    np.testing.assert_allclose(stored.vectors, found.vectors, atol=2e-3)
    np.testing.assert_allclose(stored.norms, found.norms, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(stored.vectors, axis=1), 1.0, rtol=1e-5)


def test_stored_images_come_in_the_order_they_are_asked_for_and_need_no_model(
    library: Library, encoder: CountingEncoder, photos: Path
) -> None:
    draw_many(photos, 3)
    index(library, photos)
    before = encoder.images
    first, _, third = [one.id for one in list_images(library)]
    found = stored_encodings(library, [third, first, third])
    apart = [stored_encodings(library, [number]).vectors[0] for number in (third, first, third)]
    np.testing.assert_array_equal(found.vectors, np.stack(apart))
    assert encoder.images == before
    with pytest.raises(ImageNotFound):
        stored_encodings(library, [first, 999_999])


def test_many_stored_images_cost_no_more_statements_than_one(library: Library, photos: Path) -> None:
    draw_many(photos, 5)
    index(library, photos)
    ids = [one.id for one in list_images(library)]
    with library.database.read() as connection:
        engine = connection.engine
    counts = []
    for wanted in (ids[:1], ids):
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object, seen: list[str] = seen) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            stored_encodings(library, wanted)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        counts.append(len(seen))
    assert counts[0] == counts[1] > 0


def test_an_image_of_another_collection_is_none_of_this_one(library: Library, photos: Path) -> None:
    draw_many(photos, 2)
    index(library, photos)
    library.create_collection("other")
    index_source(library, photos, collection="other")
    number = next(iter(list_images(library, collection="other"))).id
    with pytest.raises(ImageNotFound, match=str(number)):
        stored_encodings(library, [number])


def test_an_imported_embedding_has_the_length_it_came_with_or_none_that_anyone_kept(
    library: Library, encoder: CountingEncoder, tmp_path: Path
) -> None:
    rows = unit_rows(2, encoder.model.dimension)
    np.save(tmp_path / "rows.npy", rows * 3)
    (tmp_path / "names.json").write_text('["a", "b"]', encoding="utf-8")
    files = tmp_path / "rows.npy", tmp_path / "names.json"
    import_embeddings(library, *files, model=encoder.model.name, logit_scale=100.0, collection="other")
    ids = [one.id for one in list_images(library, collection="other")]
    with library.database.write() as connection:
        connection.execute(update(embedding).where(embedding.c.image_id == ids[1]).values(norm=None))
    found = stored_encodings(library, ids, collection="other")
    np.testing.assert_allclose(found.vectors, rows, atol=2e-3)
    assert found.norms[0] == pytest.approx(3.0, rel=1e-3)
    assert np.isnan(found.norms[1])
    assert np.isnan(found.raw[1]).all()


def test_nothing_given_is_nothing_made(library: Library, encoder: CountingEncoder) -> None:
    assert encode_texts(library, []).vectors.shape == (0, encoder.model.dimension)
    assert encode_pictures(library, []).raw.shape == (0, encoder.model.dimension)


def test_the_model_is_the_collections_or_the_one_that_is_named(
    library: Library, encoder: CountingEncoder, photos: Path
) -> None:
    draw_many(photos, 1)
    index(library, photos)
    by_collection = encode_texts(library, ["a cat"], collection="default")
    by_name = encode_texts(library, ["a cat"], model=encoder.model.name)
    np.testing.assert_array_equal(by_collection.vectors, by_name.vectors)
    assert encode_texts(library, ["a cat"], model="demo").model.name != encoder.model.name
    with pytest.raises(CollectionNotFound):
        encode_texts(library, ["a cat"], collection="nowhere")
    with pytest.raises(ModelNotFound):
        encode_texts(library, ["a cat"], model="/there/is/no/such/model")
    with pytest.raises(InvalidInput, match="not both"):
        encode_texts(library, ["a cat"], collection="default", model="demo")


def test_what_is_wrong_with_one_input_names_its_place(library: Library, encoder: CountingEncoder) -> None:
    with pytest.raises(EmptyText, match=r"texts\[1\]") as empty:
        encode_texts(library, ["a cat", "  "])
    assert empty.value.details["position"] == 1
    with pytest.raises(TextTooLong, match=r"texts\[0\]"):
        encode_texts(library, ["x" * 10_001])
    many = [png(0)] * (encoder.batch_size + 1)
    with pytest.raises(UnreadableImage, match=rf"images\[{len(many)}\]"):
        encode_pictures(library, [*many, b"no picture"])
    with pytest.raises(InvalidInput, match=r"images\[0\].*cannot be read"):
        encode_pictures(library, [Path("/there/is/no/such.png")])


def test_an_image_beyond_the_pixel_limit_is_refused(tmp_path: Path, encoder: CountingEncoder) -> None:
    large = io.BytesIO()
    Image.new("RGB", (400, 400)).save(large, "PNG")
    with library_with(encoder, tmp_path / "data", max_pixels=100_000) as library, pytest.raises(UnreadableImage):
        encode_pictures(library, [large.getvalue()])


def test_the_command_prints_and_writes_what_the_verb_gives(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shelf = indexed_shelf(tmp_path_factory.getbasetemp())
    pictures = sorted(shelf.pictures.glob("picture-*.png"))[:2]
    arguments: list[str | Path] = ["a cat", "--image", pictures[1], "--image", pictures[0]]
    answer = shelf.call("embed", *arguments, "--json").answer
    assert [len(answer[kind]) for kind in ("texts", "images", "image_ids")] == [1, 2, 0]
    whole = [one["embedding"] for kind in ("texts", "images") for one in answer[kind]]
    lines = shelf.call("embed", *arguments).text.splitlines()
    np.testing.assert_allclose([[float(one) for one in line.split()] for line in lines], whole, rtol=1e-6)
    written = shelf.call("embed", *arguments, "--raw", "--npy", tmp_path / "rows")
    assert (written.code, written.out) == (0, b"")
    rows = np.load(tmp_path / "rows", allow_pickle=False)
    norms = [one["norm"] for kind in ("texts", "images") for one in answer[kind]]
    np.testing.assert_allclose(rows, np.array(whole) * np.array(norms)[:, None], rtol=1e-5)


def test_the_command_says_what_it_cannot_embed(tmp_path_factory: pytest.TempPathFactory) -> None:
    shelf = indexed_shelf(tmp_path_factory.getbasetemp())
    assert shelf.call("embed").code == 2
    missing = shelf.call("embed", "--image", "/there/is/no/such.png")
    assert (missing.code, "images[0]" in missing.err) == (1, True)
    cut = shelf.call("embed", "word " * 500, "--json")
    assert cut.code == 0
    assert "longer than the model reads" in cut.err
