"""The shells of the page's views: what they ask of the database, and what of it they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_fixtures import index, statements_of
from web_fixtures import API, small_site

from clipsearch.database import failures as failure_rows
from clipsearch.database.failures import NewFailure
from clipsearch.encoder import Encoder
from clipsearch.indexing import index_source
from clipsearch.web import panels

VIEWS = ("/", "/classify", "/labels", "/review", "/folders")
BROWSER = {"Accept": "text/html"}


def test_a_view_asks_as_little_of_many_collections_as_of_one_and_lists_them_once(
    tmp_path: Path, shared_encoder: Encoder
) -> None:
    with small_site(tmp_path, shared_encoder, pictures=2) as site:

        def asked() -> dict[str, int]:
            counts = {}
            for view in VIEWS:
                site.client.get(view, headers=BROWSER)
                with statements_of(site.library.database) as statements:
                    assert site.client.get(view, headers=BROWSER).status_code == 200
                counts[view] = len(statements)
                listings = [one for one in statements if "ORDER BY collection.name" in one]
                assert len(listings) == 1, view
            return counts

        before = asked()
        for number in range(5):
            site.library.create_collection(f"more {number}")
        assert asked() == before


def test_the_folders_show_the_first_failures_and_the_runs_of_their_collection_alone(
    tmp_path: Path, shared_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "FAILURES", 3)
    monkeypatch.setattr(panels, "JOBS", 2)
    with small_site(tmp_path, shared_encoder, pictures=1) as site:
        row = site.library.collection()
        bad = [NewFailure(f"/bad{number}.png", "x", "cut short") for number in range(5)]
        with site.library.database.write() as connection:
            failure_rows.note_failures(connection, row.id, None, bad)
        for _ in range(3):  # newer runs of another collection
            index_source(site.library, site.photos, collection="other")
        page = site.client.get("/folders?collection=default", headers=BROWSER).text
        assert [f"bad{number}.png</td>" in page for number in range(5)] == [True, True, True, False, False]
        assert 'id="failures-count">5<' in page
        assert "The first 3 are shown" in page
        assert f">{site.photos}</span>" in page


def test_the_failures_of_a_job_come_in_parts(tmp_path: Path, shared_encoder: Encoder) -> None:
    with small_site(tmp_path, shared_encoder, pictures=1) as site:
        for number in range(3):
            (site.photos / f"bad{number}.png").write_bytes(b"no picture")
        run = index(site.library, site.photos).run_id
        whole = site.client.get(f"{API}/jobs/{run}/failures").get_json()
        part = site.client.get(f"{API}/jobs/{run}/failures?offset=1&limit=1").get_json()
        assert (whole["total"], len(whole["failures"])) == (3, 3)
        assert part == {"failures": whole["failures"][1:2], "total": 3}
