"""Folders of clip-retrieval taken over: every row with its columns, once, in order, and again without harm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_fixtures import call
from library_fixtures import draw_many, unit_rows
from numpy.typing import NDArray

from clipsearch.browsing import list_images, show_image
from clipsearch.datasets import read_table
from clipsearch.errors import InvalidInput, ModelMismatch, NotFound
from clipsearch.importing import clip_retrieval, import_clip_retrieval
from clipsearch.inspecting import list_collections, show_collection
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search

MODEL = "ViT-B-32/openai"


def write_part(folder: Path, number: str, rows: NDArray[Any], columns: Mapping[str, Sequence[Any]]) -> None:
    """One part, as clip-retrieval's writer leaves it: float16 rows, and a table as pandas writes it."""
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    np.save(folder / "img_emb" / f"img_emb_{number}.npy", rows.astype(np.float16))
    numbered = {**columns, "__index_level_0__": list(range(len(rows)))}
    pq.write_table(pa.table(numbered), folder / "metadata" / f"metadata_{number}.parquet")


def urls(numbers: range) -> list[str]:
    return [f"https://example.org/{n}.jpg" for n in numbers]


def write_laion(folder: Path, parts: int = 11, each: int = 3) -> NDArray[np.float32]:
    """Parts of rows with urls and captions; the rows of all."""
    rows = unit_rows(parts * each, 16)
    for part in range(parts):
        numbers = range(part * each, (part + 1) * each)
        columns: dict[str, Sequence[Any]] = {
            "image_path": [f"{n:09}" for n in numbers],
            "caption": [f"picture {n}" for n in numbers],
            "url": urls(numbers),
            "NSFW": ["UNLIKELY"] * each,
            "original_width": [640 + n for n in numbers],
            "exif": [None] * each,
        }
        write_part(folder, str(part), rows[numbers.start : numbers.stop], columns)
    return rows


def bring(library: Library, folder: Path, **options: Any) -> Any:
    chosen: dict[str, Any] = {"model": MODEL, "logit_scale": 100.0} | options
    return import_clip_retrieval(library, folder, **chosen)


def test_rows_come_with_their_columns_in_the_order_of_the_parts(any_library: Library, tmp_path: Path) -> None:
    rows = write_laion(tmp_path / "laion")
    report = bring(any_library, tmp_path / "laion")
    assert (report.imported, report.unchanged, report.failed, report.warnings) == (33, 0, [], [])
    images = list_images(any_library, limit=100)
    assert [one.uri for one in images] == urls(range(33))
    assert images[10].attributes == {
        "url": "https://example.org/10.jpg", "caption": "picture 10", "image_path": "000000010", "NSFW": "UNLIKELY",
        "original_width": 650,
    }  # fmt: skip
    for number in (0, 10, 32):
        hit = search(any_library, Query(terms=(Term(vector=tuple(rows[number].tolist())),), k=1)).hits[0]
        assert hit.image.uri == f"https://example.org/{number}.jpg"
        assert hit.score > 0.999


def test_a_second_import_finds_everything_there(any_library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "laion"
    rows = write_laion(folder, parts=2)
    bring(any_library, folder)
    before = show_collection(any_library).revision
    again = bring(any_library, folder)
    assert (again.imported, again.unchanged) == (0, 6)
    assert show_collection(any_library).revision == before
    changed = {"url": urls(range(3, 6)), "caption": ["picture 3", "another", "picture 5"]}
    write_part(folder, "1", np.stack([rows[3], rows[4], rows[0]]), changed)
    third = bring(any_library, folder)
    assert (third.imported, third.unchanged) == (2, 4)
    assert show_image(any_library, "https://example.org/4.jpg").attributes["caption"] == "another"
    assert len(list_images(any_library)) == 6


def test_an_import_that_was_cut_short_goes_on(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_laion(tmp_path / "laion", parts=3)

    def broken(table: Path, size: int) -> Any:
        if table.name == "metadata_2.parquet":
            raise InvalidInput("the disk was pulled out")
        return read_table(table, size)

    monkeypatch.setattr("clipsearch.importing.clip_retrieval.read_table", broken)
    with pytest.raises(InvalidInput, match="pulled out"):
        bring(library, tmp_path / "laion")
    assert show_collection(library).images == 6
    monkeypatch.undo()
    report = bring(library, tmp_path / "laion")
    assert (report.imported, report.unchanged) == (3, 6)


def test_a_part_is_brought_in_batches(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_retrieval, "ROWS", 4)
    rows = write_laion(tmp_path / "laion", parts=1, each=10)
    bring(library, tmp_path / "laion")
    hit = search(library, Query(terms=(Term(vector=tuple(rows[9].tolist())),), k=1)).hits[0]
    assert (hit.image.uri, hit.image.attributes["caption"]) == ("https://example.org/9.jpg", "picture 9")


def test_rows_that_cannot_be_stored_are_reported_one_by_one(library: Library, tmp_path: Path) -> None:
    rows = unit_rows(5, 16)
    rows[1], rows[3] = 0.0, np.nan
    columns = {"url": [*urls(range(4)), None], "image_path": [None, None, None, None, "  "]}
    write_part(tmp_path, "0", rows, columns)
    report = bring(library, tmp_path)
    assert [(one.uri, one.code) for one in report.failed] == [
        ("https://example.org/1.jpg", "no_embedding"),
        ("https://example.org/3.jpg", "no_embedding"),
        ("row 4 of metadata_0.parquet", "no_name"),
    ]
    assert report.imported == show_collection(library).images == 2


def test_an_address_that_stands_twice_names_two_images(library: Library, tmp_path: Path) -> None:
    write_part(tmp_path, "0", unit_rows(3, 16), {"url": ["https://a/x.jpg", "https://a/y.jpg", "https://a/x.jpg"]})
    assert bring(library, tmp_path).imported == 3
    assert [one.uri for one in list_images(library)] == ["https://a/x.jpg", "https://a/y.jpg", "https://a/x.jpg#2"]
    assert show_image(library, "https://a/x.jpg#2").attributes["url"] == "https://a/x.jpg"
    assert bring(library, tmp_path).unchanged == 3


def test_columns_of_every_kind_are_kept_or_said_to_be_lost(library: Library, tmp_path: Path) -> None:
    columns: dict[str, Sequence[Any]] = {
        "url": ["https://a/x.jpg"],
        "caption": ["a" * 3_000],
        "meta.score": [0.25],
        "a:b=c": ["colon"],
        "large": [2**60],
        "not a number": [float("nan")],
        "nothing": [None],
        "safe": [True],
        "words": [["red", "boat"]],
        "box": [{"x": 1, "y": [2, 3]}],
        "raw": [b"bytes"],
        "nul": ["a\x00b"],
        **{f"more {n}": [n] for n in range(70)},
    }
    write_part(tmp_path, "0", unit_rows(1, 16), columns)
    report = bring(library, tmp_path)
    kept = show_image(library, "https://a/x.jpg").attributes
    assert len(kept) == 64
    assert kept["caption"] == "a" * 2_000
    assert kept["meta.score"] == 0.25
    assert kept["a_b_c"] == "colon"
    assert kept["large"] == str(2**60)
    assert kept["safe"] is True
    assert kept["words"] == ["red", "boat"]
    assert json.loads(str(kept["box"])) == {"x": 1, "y": [2, 3]}
    assert kept["raw"] == "bytes"
    assert kept["nul"] == "a�b"
    assert not {"not a number", "nothing"} & kept.keys()
    left = 70 - (64 - len([name for name in kept if not name.startswith("more")]))
    assert report.warnings == [
        "texts beyond 2,000 characters that were cut: 1",
        f"columns that were left out, for an image has 64 attributes of 16,000 bytes at most: {left}",
    ]


def test_what_an_owner_said_here_stays(library: Library, tmp_path: Path) -> None:
    from clipsearch.database.images import set_attributes

    write_laion(tmp_path / "laion", parts=1)
    bring(library, tmp_path / "laion")
    first = list_images(library)[0]
    with library.database.write() as connection:
        set_attributes(connection, {first.id: {**first.attributes, "mine": "yes"}})
    assert bring(library, tmp_path / "laion").unchanged == 3
    assert show_image(library, first.id).attributes["mine"] == "yes"


def test_text_embeddings_are_left_and_said_to_be(library: Library, tmp_path: Path) -> None:
    write_laion(tmp_path, parts=1)
    (tmp_path / "text_emb").mkdir()
    np.save(tmp_path / "text_emb" / "text_emb_0.npy", unit_rows(3, 16))
    assert "text_emb" in bring(library, tmp_path).warnings[0]


def test_paths_lead_to_files(library: Library, tmp_path: Path) -> None:
    pictures = draw_many(tmp_path / "photos", 2)
    columns = {"image_path": [str(pictures[0]), "0001.png"], "caption": ["first", "second"]}
    write_part(tmp_path / "there", "0", unit_rows(2, 16), columns)
    bring(library, tmp_path / "there", root=tmp_path / "photos")
    assert [one.uri for one in list_images(library)] == [str(path) for path in pictures]
    assert show_image(library, str(pictures[1])).attributes["image_path"] == "0001.png"


def _missing_table(folder: Path) -> None:
    (folder / "metadata" / "metadata_1.parquet").unlink()


def _missing_rows(folder: Path) -> None:
    (folder / "img_emb" / "img_emb_1.npy").unlink()


def _too_few(folder: Path) -> None:
    np.save(folder / "img_emb" / "img_emb_1.npy", unit_rows(2, 16))


def _other_dimension(folder: Path) -> None:
    np.save(folder / "img_emb" / "img_emb_1.npy", unit_rows(3, 8))


def _no_parquet(folder: Path) -> None:
    (folder / "metadata" / "metadata_1.parquet").write_bytes(b"PAR1 and no more")


def _twice(folder: Path) -> None:
    np.save(folder / "img_emb" / "img_emb_01.npy", unit_rows(3, 16))


def _unnumbered(folder: Path) -> None:
    np.save(folder / "img_emb" / "all.npy", unit_rows(3, 16))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_missing_table, "no part 1 in .*metadata"),
        (_missing_rows, "no part 1 in .*img_emb"),
        (_too_few, "holds 2 rows, but .*metadata_1.parquet 3"),
        (_other_dimension, "different dimensions"),
        (_no_parquet, "cannot be read as Parquet"),
        (_twice, "are both part 1"),
        (_unnumbered, "has no number at its end"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_before_anything_is_stored(
    library: Library, tmp_path: Path, spoil: Any, reason: str
) -> None:
    write_laion(tmp_path, parts=2)
    spoil(tmp_path)
    with pytest.raises(InvalidInput, match=reason):
        bring(library, tmp_path)
    assert sum(one.images for one in list_collections(library)) == 0


def test_what_is_no_such_folder_is_said(library: Library, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        bring(library, tmp_path / "nowhere")
    with pytest.raises(NotFound, match="clip-retrieval inference"):
        bring(library, tmp_path)


def test_another_model_is_refused(library: Library, tmp_path: Path) -> None:
    write_laion(tmp_path, parts=1)
    bring(library, tmp_path)
    with pytest.raises(ModelMismatch, match="import into another one"):
        bring(library, tmp_path, model="ViT-B-16/openai")
    with pytest.raises(InvalidInput, match="--logit-scale 100"):
        bring(library, tmp_path, model="ViT-L-14/openai", logit_scale=None, collection="other")


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    write_laion(tmp_path / "laion", parts=2)
    words: list[str | Path] = [
        "import",
        "clip-retrieval",
        tmp_path / "laion",
        "--model",
        MODEL,
        "--data-dir",
        tmp_path / "data",
    ]
    first = call(*words, "--logit-scale", "100", "--json").answer
    assert (first["imported"], first["unchanged"], first["model"]) == (6, 0, MODEL)
    again = call(*words)
    assert again.code == 0
    assert "0 images imported" in again.text
    assert "6 images stood there already" in again.text
