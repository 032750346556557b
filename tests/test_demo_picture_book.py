"""The picture-book holds what it says, draws it the same every time, and keeps what training must not see apart."""

import random
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.demo.captions import AT_LEAST_ONE, AT_LEAST_TWO, Caption, Claim, describe, full_caption
from clipsearch.demo.drawing import draw_scene
from clipsearch.demo.grading import FALSE, TRUE, UNDECIDED, encode_caption, encode_scene, truth
from clipsearch.demo.lessons import spoiled, training_scenes
from clipsearch.demo.picture_book import PictureEntry, draw_picture_book, picture_book_scenes
from clipsearch.demo.scenes import (
    COLOURS,
    HELD_OUT,
    OBJECTS,
    PLACES,
    TIMES,
    Scene,
    Thing,
    all_triples,
    holds_held_out,
    sample_scene,
)
from clipsearch.demo.wording import OBJECT_NAMES, PLACE_PHRASES, TIME_PHRASES, plural, words_in


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def only(scene: Scene, caption: Caption) -> int:
    return int(truth(encode_scene(scene)[None], encode_caption(caption)[None])[0, 0])


@pytest.fixture(scope="module")
def book() -> list[PictureEntry]:
    return picture_book_scenes()


def test_the_vocabulary_is_as_rich_as_promised() -> None:
    assert len(set(OBJECTS)) >= 24
    assert len(set(COLOURS)) == 10
    assert len(set(PLACES)) == 6
    assert set(TIMES) == {"day", "night"}
    assert set(OBJECT_NAMES) == set(OBJECTS)
    assert set(PLACE_PHRASES) == set(PLACES)
    assert {"boat", "car", "cat", "dog"} <= set(OBJECTS)


def test_training_never_sees_a_combination_that_is_held_out() -> None:
    assert 0.10 <= len(HELD_OUT) / len(all_triples()) <= 0.15
    assert not any(holds_held_out(scene) for scene in training_scenes(3000, seed=11))


def test_every_object_colour_and_place_has_combinations_held_out_and_others_that_are_not() -> None:
    for part, choices in enumerate((OBJECTS, COLOURS, PLACES)):
        assert {triple[part] for triple in HELD_OUT} == set(choices)
        assert {triple[part] for triple in all_triples() if triple not in HELD_OUT} == set(choices)


def test_a_scene_asked_to_be_held_out_is_so_in_all_its_things() -> None:
    rng = random.Random(5)
    for _ in range(50):
        assert set(sample_scene(rng, held_out=True).triples) <= set(HELD_OUT)


def test_the_book_holds_every_object_and_enough_red_boats_at_night(book: list[PictureEntry]) -> None:
    assert len(book) == 600
    assert {thing.object for page in book for thing in page.scene.things} == set(OBJECTS)
    assert {thing.colour for page in book for thing in page.scene.things} == set(COLOURS)
    assert {(page.scene.place, page.scene.time) for page in book} == {(p, t) for p in PLACES for t in TIMES}
    boats = [page for page in book if page.scene.time == "night" and Thing("boat", "red") in _plain(page.scene)]
    assert len(boats) >= 5
    held_out = sum(set(page.scene.triples) <= set(HELD_OUT) for page in book)
    assert 0.35 <= held_out / len(book) <= 0.45


def _plain(scene: Scene) -> set[Thing]:
    return {Thing(thing.object, thing.colour) for thing in scene.things}


def test_the_pages_are_the_same_every_time_and_their_names_are_readable(book: list[PictureEntry]) -> None:
    assert picture_book_scenes() == book
    assert len({page.path for page in book}) == len(book)
    for page in book:
        place, time, name = page.path.split("/")
        assert (place, time) == (page.scene.place, page.scene.time)
        assert page.scene.things[0].colour in name
    assert {page.path.rsplit(".", 1)[1] for page in book} == {"jpg", "png", "webp"}
    assert picture_book_scenes(40, seed=8) != picture_book_scenes(40, seed=7)


def test_listing_the_pages_imports_neither_pillow_nor_torch() -> None:
    code = (
        "import sys; from clipsearch.demo.picture_book import picture_book_scenes as s; s();"
        "import clipsearch.demo.evaluation; sys.exit(bool({'PIL', 'torch', 'open_clip'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_seed_draws_the_same_bytes_and_leaves_only_pictures(tmp_path: Path) -> None:
    pages = draw_picture_book(tmp_path / "one", count=6, seed=3, workers=1)
    draw_picture_book(tmp_path / "two", count=6, seed=3, workers=1)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert set(digests(tmp_path / "one")) == {page.path for page in pages}
    for page in pages:
        with Image.open(tmp_path / "one" / page.path) as picture:
            picture.load()
            assert picture.mode == "RGB"
            assert 400 <= max(picture.size) <= 640


def test_a_picture_that_stands_is_left_alone_and_one_that_is_missing_comes_back(tmp_path: Path) -> None:
    pages = draw_picture_book(tmp_path, count=4, seed=3, workers=1)
    before = digests(tmp_path)
    kept, lost = tmp_path / pages[0].path, tmp_path / pages[1].path
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    draw_picture_book(tmp_path, count=4, seed=3, workers=1)
    assert kept.stat().st_mtime_ns == stamp
    assert digests(tmp_path) == before


def test_two_processes_draw_what_one_draws(tmp_path: Path) -> None:
    draw_picture_book(tmp_path / "one", count=13, seed=4, workers=1)
    draw_picture_book(tmp_path / "two", count=13, seed=4, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_shows_its_colour_by_day_and_by_night(name: str) -> None:
    for time in TIMES:
        red, blue = (
            np.asarray(draw_scene(Scene((Thing(name, colour, "large"),), "city", time, 9), 96, 72), int)
            for colour in ("red", "blue")
        )
        changed = np.abs(red - blue).sum(2) > 90
        assert changed.mean() > 0.015
        assert (red - blue)[changed].mean(0)[0] > 40


def test_a_scene_looks_alike_at_any_size() -> None:
    scene = sample_scene(random.Random(1))
    small = np.asarray(draw_scene(scene, 160, 120), int)
    large = np.asarray(draw_scene(scene, 640, 480).resize((160, 120), Image.Resampling.BOX), int)
    assert np.abs(small - large).mean() < 12


def test_the_caption_under_a_picture_names_all_that_is_drawn(book: list[PictureEntry]) -> None:
    for page in book:
        words = words_in(page.caption)
        assert page.caption == full_caption(page.scene)
        for thing in page.scene.things:
            assert thing.colour in words
            assert {thing.object, plural(thing.object)} & set(words)
        assert page.caption.endswith(TIME_PHRASES[page.scene.time][0])
        assert PLACE_PHRASES[page.scene.place][0] in page.caption


def test_the_caption_of_a_red_boat_at_night_reads_well() -> None:
    assert full_caption(Scene((Thing("boat", "red"),), "sea", "night", 0)) == "a red boat at sea at night"
    two = Scene((Thing("butterfly", "orange", "small"),) * 2, "forest", "day", 0)
    assert full_caption(two) == "two small orange butterflies in the forest by day"
    pair = Scene((Thing("umbrella", "red"), Thing("airplane", "blue")), "city", "day", 0)
    assert full_caption(pair) == "a red umbrella and a blue airplane in the city by day"


def test_every_wording_is_true_of_its_own_scene_and_worded_in_many_ways() -> None:
    rng = random.Random(2)
    scenes = [sample_scene(rng) for _ in range(400)]
    captions = [describe(scene, rng) for scene in scenes]
    verdict = truth(np.stack([encode_scene(s) for s in scenes]), np.stack([encode_caption(c) for c in captions]))
    assert (np.diag(verdict) == TRUE).all()
    assert 0.01 < (verdict == TRUE).mean() < 0.10
    assert len({caption.text for caption in captions}) > 380
    assert all(set(caption.text.lower()) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ,.-") for caption in captions)


def test_truth_tells_counts_looks_and_surroundings_apart() -> None:
    boats = Scene((Thing("boat", "red", "small"),) * 2, "sea", "night", 0)
    assert only(boats, Caption("", (Claim("boat", "red", None, 2),), "sea", "night")) == TRUE
    assert only(boats, Caption("", (Claim("boat"),))) == TRUE
    assert only(boats, Caption("", (Claim(None, "red", None, AT_LEAST_TWO),))) == TRUE
    assert only(boats, Caption("", (Claim("boat", count=1),))) == FALSE
    assert only(boats, Caption("", (Claim("boat", "blue", None, AT_LEAST_ONE),))) == FALSE
    assert only(boats, Caption("", (Claim("boat"), Claim("car")))) == FALSE
    assert only(boats, Caption("", (), "sea", "day")) == FALSE
    assert only(boats, Caption("", (Claim("boat", size="large"),))) == FALSE
    medium = Scene((Thing("boat", "red"),), "sea", "night", 0)
    assert only(medium, Caption("", (Claim("boat", size="large"),))) == UNDECIDED


def test_a_spoiled_scene_is_wrong_about_its_place_or_its_things_and_keeps_the_hour() -> None:
    rng = random.Random(6)
    elsewhere = 0
    for _ in range(200):
        scene = sample_scene(rng)
        wrong = spoiled(scene, rng)
        assert wrong.time == scene.time
        if wrong.place != scene.place:
            elsewhere += 1
            assert wrong.things == scene.things
        else:
            assert sorted(map(repr, wrong.things)) != sorted(map(repr, scene.things)) or len(scene.things) > 1
    assert 30 <= elsewhere <= 90
