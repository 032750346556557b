"""Laws of indexing over any order of changes to a folder: the collection is the folder, and a report leaves no gap."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from library_fixtures import GROUPS, CountingEncoder, library_with, picture, sqlite_url

from clipsearch import browsing
from clipsearch.answers import IndexingReport
from clipsearch.errors import EmptySource
from clipsearch.indexing import IndexingOptions, index_source
from clipsearch.library import Library
from clipsearch.queries import Query, Term
from clipsearch.searching import search

NAMES = ["a.png", "b.png", "c.png", "sub/a.png", "sub/b.png", "sub/deep/d.png", "A.png", "ä.png"]
DAMAGED = b"\x89PNG\r\n\x1a\n damaged "


def uris(report: IndexingReport) -> dict[str, set[str]]:
    found = {name: list(getattr(report, name)) for name in GROUPS}
    found["failed"] = [one.uri for one in report.failed]
    assert all(len(set(group)) == len(group) for group in found.values())
    return {name: set(group) for name, group in found.items()}


class FolderAndCollection(RuleBasedStateMachine):
    """Random changes to a folder, runs in between, and a model of what the collection must hold after each."""

    encoder: CountingEncoder
    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="clipsearch-laws-"))
        self.photos = self.base / "photos"
        (self.photos / "sub" / "deep").mkdir(parents=True)
        sqlite_url(self.base / "data", self.migrated)
        self.encoder = CountingEncoder(type(self).encoder.inner)
        self.library: Library = library_with(self.encoder, self.base / "data")
        self.library.ensure_collection()
        self.clock = 1_000
        self.files: dict[str, tuple[bytes, int]] = {}  # as they lie in the folder: bytes and time
        self.indexed: dict[str, tuple[bytes, int]] = {}  # as the last run found them
        self.held: set[str] = set()  # names of images that can be found
        self.embedded: set[bytes] = set()  # contents that were encoded before

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.base)

    def _write(self, name: str, data: bytes) -> None:
        self.clock += 1
        path = self.photos / name
        path.write_bytes(data)
        os.utime(path, ns=(self.clock, self.clock))
        self.files[name] = (data, self.clock)

    @rule(name=st.sampled_from(NAMES), seed=st.integers(0, 5))
    def draw(self, name: str, seed: int) -> None:
        stream = io.BytesIO()
        picture(seed).save(stream, "PNG")
        self._write(name, stream.getvalue())

    @rule(name=st.sampled_from(NAMES), seed=st.integers(0, 1))
    def damage(self, name: str, seed: int) -> None:
        self._write(name, DAMAGED + bytes([seed]))

    @rule(one=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def rename(self, one: str, other: str) -> None:
        if one in self.files and one != other:
            (self.photos / one).rename(self.photos / other)
            self.files[other] = self.files.pop(one)

    @rule(one=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def copy(self, one: str, other: str) -> None:
        if one in self.files and one != other:
            self._write(other, self.files[one][0])

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        if name in self.files:
            (self.photos / name).unlink()
            del self.files[name]

    @rule(name=st.sampled_from(NAMES))
    def touch(self, name: str) -> None:
        if name in self.files:
            self._write(name, self.files[name][0])

    @rule(retry_failed=st.booleans(), dry_run_first=st.booleans())
    def run(self, retry_failed: bool, dry_run_first: bool) -> None:
        options = {"retry_failed": retry_failed}
        if self.held and not self.files:
            self._refused_as_empty(options)
            options["allow_empty"] = True
        planned = self._index(dry_run=True, **options) if dry_run_first else None
        encoded_before = self.encoder.images
        report = self._index(**options)
        groups = uris(report)
        self._check_partition(groups)
        self._check_meaning(groups, retry_failed)
        if planned is not None:
            self._check_foretold(uris(planned), groups)
        self._check_encoded(report.encoded, self.encoder.images - encoded_before)
        self.indexed = dict(self.files)
        self.held = {name for name, (data, _) in self.files.items() if not data.startswith(DAMAGED)}
        assert self._found() == self.held
        again = uris(self._index(allow_empty=True))
        assert not again["added"] | again["changed"] | again["moved"] | again["removed"]

    def _index(self, **options: Any) -> IndexingReport:
        return index_source(self.library, self.photos, options=IndexingOptions(**options))

    def _refused_as_empty(self, options: dict[str, bool]) -> None:
        try:
            self._index(**options)
        except EmptySource:
            assert self._found() == self.held
        else:
            raise AssertionError("an emptied folder was taken at its word")

    def _uri(self, name: str) -> str:
        return str(self.photos / name)

    def _check_partition(self, groups: dict[str, set[str]]) -> None:
        standing = [uri for name, group in groups.items() if name != "removed" for uri in group]
        assert sorted(standing) == sorted(map(self._uri, self.files)), "every file in exactly one group"
        assert not groups["removed"] & set(standing)

    def _check_meaning(self, groups: dict[str, set[str]], retry_failed: bool) -> None:
        damaged = {self._uri(name) for name, (data, _) in self.files.items() if data.startswith(DAMAGED)}
        before = {self._uri(name) for name in self.held}
        assert groups["failed"] == damaged
        assert groups["unchanged"] == {
            self._uri(name) for name in self.held & self.files.keys() if self.files[name][0] == self.indexed[name][0]
        }
        assert groups["changed"] <= before
        assert not (groups["added"] | groups["moved"]) & before
        assert groups["removed"] <= before
        vanished = {name for name in self.held if name not in self.files}
        assert len(groups["removed"]) + len(groups["moved"]) == len(vanished)
        new = {uri for uri in map(self._uri, self.files) if uri not in before} - damaged
        assert groups["added"] | groups["moved"] == new
        # What vanished and came to light under a new name is moved, as far as there are new names.
        contents = [self.indexed[name][0] for name in vanished]
        arrived = [self.files[name][0] for name in self.files if self._uri(name) in new]
        assert len(groups["moved"]) == sum(min(contents.count(data), arrived.count(data)) for data in set(contents))

    def _check_foretold(self, planned: dict[str, set[str]], groups: dict[str, set[str]]) -> None:
        # Only decoding tells which of the files that are read will fail; all else is foretold.
        failed = groups["failed"]
        for name in ("unchanged", "removed", "changed", "moved", "added"):
            assert planned[name] - failed == groups[name], name

    def _check_encoded(self, reported: int, counted: int) -> None:
        contents = {data for data, _ in self.files.values() if not data.startswith(DAMAGED)}
        stayed = {data for name in self.held if (data := self.files.get(name, (b"", 0))[0]) == self.indexed[name][0]}
        assert reported == counted
        # A content whose last image changed in this very run, before a new file with it came to its turn, may have to
        # be encoded again; what is held throughout never is, and nothing is twice in one run.
        assert len(contents - self.embedded) <= counted <= len(contents - stayed)
        self.embedded |= contents

    def _found(self) -> set[str]:
        listed = {one.uri: one.id for one in browsing.list_images(self.library, limit=1_000)}
        term = Term(vector=(1.0,) * self.encoder.model.dimension)
        hits = search(self.library, Query(terms=(term,), k=100)).hits
        assert {hit.image.id for hit in hits} == set(listed.values())
        return {os.path.relpath(uri, self.photos) for uri in listed}

    @invariant()
    def every_image_is_found_by_its_own_picture(self) -> None:
        for name in sorted(self.held & self.files.keys())[:1]:
            if self.files[name] == self.indexed.get(name):
                best = search(self.library, Query(terms=(Term(image=self.photos / name),), k=1)).hits[0]
                # by what was indexed: a twin's file may have another name or content by now
                twin = os.path.relpath(best.image.uri, self.photos)
                assert self.indexed[twin][0] == self.files[name][0] or best.score > 0.9999


def test_after_any_changes_a_run_brings_the_collection_in_step_with_the_folder(
    encoder: CountingEncoder, migrated_file: Path
) -> None:
    FolderAndCollection.encoder, FolderAndCollection.migrated = encoder, migrated_file
    deep = os.environ.get("CLIPSEARCH_DEEP_TESTS") == "1"
    run_state_machine_as_test(
        FolderAndCollection,
        settings=settings(
            max_examples=200 if deep else 20,
            stateful_step_count=60 if deep else 25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
