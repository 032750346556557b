"""What stands for labels: kept rows, joined prompts, backgrounds, example images, and what a change costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_fixtures import CountingEncoder, draw_many, index, library_with, sqlite_url, unit_rows
from sklearn.metrics import average_precision_score

from clipsearch.choices import choice_of, label_set_of
from clipsearch.choices.background_texts import background_texts
from clipsearch.choices.neutral_pictures import neutral_pictures
from clipsearch.choices.sets import unstored
from clipsearch.classifying import classify_pictures, classify_stored, classify_with_sets
from clipsearch.classifying.pictures import PictureSource
from clipsearch.config import Settings
from clipsearch.database.images import image_rows
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.demo.evaluation import draw_for_exam
from clipsearch.demo.scenes import HELD_OUT, OBJECTS, Scene, sample_scene, scene_of
from clipsearch.errors import InvalidLabelSet, LabelSetNotFound
from clipsearch.images import read_and_hash, uri_of
from clipsearch.label_set import AGGREGATES, MODES, Example, Label, LabelSet
from clipsearch.labelling import save_label_set
from clipsearch.library import Library
from clipsearch.queries import Labels
from clipsearch.scoring import Ranked, decide, softmax

ARRAYS = ("positions", "scores", "logits", "probabilities", "margins")


@pytest.fixture
def filled(any_library: Library, photos: Path) -> Library:
    draw_many(photos, 6)
    index(any_library, photos)
    return any_library


def ranked(library: Library, label_set: LabelSetRow, images: Any, top: int | None = None) -> Ranked:
    encoder, model = library.encoder_for(library.collection())
    return choice_of(library, label_set, model, lambda: encoder).ranker(top, len(images))(images)


def again(library: Library, encoder: CountingEncoder) -> Library:
    """The same library as another process opens it."""
    return library_with(encoder, library.settings.data_dir, database_url=library.settings.database_url)


# What is kept ----------------------------------------------------------------------------------------------

words = st.text(alphabet="abcdefg ", min_size=1, max_size=8).map(str.strip).filter(bool)


@st.composite
def label_sets(draw: st.DrawFn) -> LabelSet:
    mode = draw(st.sampled_from(MODES))
    labels = draw(st.lists(st.lists(words, min_size=1, max_size=3, unique=True), min_size=2, max_size=5))
    return LabelSet(
        labels=tuple(
            Label(name=prompts[0], prompts=tuple(prompts), negatives=("nothing",) if draw(st.booleans()) else ())
            for prompts in labels
        ),
        templates=tuple(draw(st.lists(st.sampled_from(["{}", "a {}", "{}!"]), max_size=2, unique=True))),
        mode=mode,
        aggregate=draw(st.sampled_from(AGGREGATES)),
        background=tuple(draw(st.lists(words, max_size=2, unique=True))),
    )


@given(label_sets())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_was_kept_answers_bit_for_bit_as_what_is_made(
    library: Library, encoder: CountingEncoder, photos: Path, label_set: LabelSet
) -> None:
    if library.index(library.ensure_collection()[0]) is None:
        draw_many(photos, 3)
        index(library, photos)
    images = unit_rows(3, encoder.model.dimension)
    chosen = unstored("", label_set)
    first = ranked(library, chosen, images)
    texts = encoder.texts
    warm = ranked(library, chosen, images)
    with again(library, encoder) as other:
        cold = ranked(other, chosen, images)
    assert encoder.texts == texts
    for name in ARRAYS:
        assert np.array_equal(getattr(warm, name), getattr(first, name))
        assert np.array_equal(getattr(cold, name), getattr(first, name))


def test_a_changed_label_embeds_one_label_and_a_changed_threshold_none(
    filled: Library, encoder: CountingEncoder
) -> None:
    pets = LabelSet(
        labels=tuple(Label(name=name, prompts=(name,)) for name in ("cat", "dog", "boat")), templates=("{}", "a {}")
    )
    save_label_set(filled, "pets", pets)
    classify_stored(filled, Labels(label_set="pets"))
    assert encoder.texts == 6
    changed = replace(pets, labels=(*pets.labels[:2], Label(name="boat", prompts=("ship",))))
    save_label_set(filled, "pets", changed, replace=True)
    classify_stored(filled, Labels(label_set="pets"))
    assert encoder.texts == 8
    save_label_set(filled, "pets", replace(changed, min_probability=0.9, min_margin=0.5), replace=True)
    answer = classify_stored(filled, Labels(label_set="pets"))
    assert encoder.texts == 8
    assert answer.label_set_version == 3
    assert {one.rejected for one in answer.results} <= {None, "probability", "margin"}


def test_several_sets_look_at_each_picture_once(filled: Library, photos: Path, encoder: CountingEncoder) -> None:
    sources = [PictureSource(path.name, path) for path in sorted(photos.iterdir())]
    sets = [Labels(labels=("cat", "dog")), Labels(labels=("red", "blue", "green"))]
    encoder.images = 0
    both = classify_with_sets(filled, sources, sets)
    assert encoder.images == 6
    assert both == [classify_pictures(filled, sources, one) for one in sets]


# How prompts are joined ------------------------------------------------------------------------------------


def test_each_prompt_of_a_label_is_a_row_of_its_own_unless_they_are_averaged(
    filled: Library, encoder: CountingEncoder
) -> None:
    labels = (Label(name="pet", prompts=("cat", "dog")), Label(name="boat", prompts=("boat",)))
    images = unit_rows(4, encoder.model.dimension)
    rows = {}
    for text in ("cat", "dog", "boat"):
        pair = encoder.encode_texts([f"a {text}", text]).vectors.astype("<f2").astype(np.float64).mean(axis=0)
        rows[text] = pair / np.linalg.norm(pair)
    cosines = images.astype(np.float64) @ np.stack(list(rows.values())).T
    for aggregate in ("max", "sum_probability"):
        found = ranked(
            filled, unstored("", LabelSet(labels=labels, templates=("a {}", "{}"), aggregate=aggregate)), images
        )
        scale = encoder.model.logit_scale
        if aggregate == "max":
            expected = softmax(scale * np.column_stack([cosines[:, :2].max(axis=1), cosines[:, 2]]))
        else:
            each = softmax(scale * cosines)
            expected = np.column_stack([each[:, :2].sum(axis=1), each[:, 2]])
        shares = np.empty((4, 2))
        np.put_along_axis(shares, found.positions, found.probabilities, axis=1)
        assert shares == pytest.approx(expected, abs=2e-3)


def test_what_fits_something_else_better_has_no_label(filled: Library) -> None:
    answer = classify_stored(filled, Labels(labels=("cat",), background=("cat", "dog", "boat", "tree")), top=None)
    for one in answer.results:
        assert sum(found.probability for found in one.predictions) == pytest.approx(1.0, abs=1e-12)
        behind = next(found for found in one.predictions if found.position == -1)
        assert (behind.label, behind.accepted) == (None, False)
        assert one.rejected == ("background" if one.predictions[0].position == -1 else None)
        assert one.label == (None if one.rejected else "cat")


def test_a_single_label_is_refused_in_the_mode_single_with_the_ways_out(filled: Library) -> None:
    with pytest.raises(InvalidLabelSet, match=r"at least two labels.*background.*binary.*multi"):
        label_set_of(filled, Labels(labels=("cat",)))
    for mode in ("multi", "binary"):
        assert classify_stored(filled, Labels(labels=("cat",), mode=mode)).mode == mode


def test_written_negatives_and_their_label_share_the_probability(filled: Library, encoder: CountingEncoder) -> None:
    label = Label(name="cat", prompts=("cat",), negatives=("no cat",))
    turned = Label(name="no cat", prompts=("no cat",), negatives=("cat",))
    images = unit_rows(5, encoder.model.dimension)
    chosen = LabelSet(labels=(label, turned), templates=("{}",), mode="binary")
    found = ranked(filled, unstored("", chosen), images)
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-9)
    assert (decide(chosen, found).accepted.sum(axis=1) == 1).all()


def test_built_in_sets_are_chosen_from_by_name(filled: Library) -> None:
    answer = classify_stored(filled, Labels(label_set="builtin:moderation"), top=2)
    assert (answer.label_set, answer.label_set_version) == ("builtin:moderation", None)
    assert all(len(one.predictions) == 2 for one in answer.results)
    with pytest.raises(LabelSetNotFound, match="did you mean builtin:moderation"):
        classify_stored(filled, Labels(label_set="builtin:moderatio"))


def test_the_background_is_some_hundred_different_words() -> None:
    texts = background_texts()
    assert len(texts) == len({text.lower() for text in texts}) >= 300
    assert all(text == " ".join(text.split()) for text in texts)


def test_neutral_pictures_are_the_same_each_time_and_of_the_models_range() -> None:
    made = neutral_pictures(20, {})
    assert np.array_equal(made, neutral_pictures(20, {}))
    assert made.shape == (48, 3, 20, 20)
    assert made.min() >= -2.0
    assert made.max() <= 2.4


# With a model that knows what it sees -----------------------------------------------------------------------

SHOTS = 3


def scenes_of(name: str, count: int) -> list[Scene]:
    chance = random.Random(name)
    triples = [triple for triple in HELD_OUT if triple[0] == name]
    return [scene_of(chance, chance.choice(triples)) for _ in range(count)]


SEEN = ("boat", "cat", "tree", "umbrella", "clock", "rocket")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Library]:
    """Six kinds of things, nine pictures of each, three of which are kept out of the collection as examples."""
    folder = tmp_path_factory.mktemp("choices")
    for place in ("shelf", "examples"):
        (folder / place).mkdir()
    for name in SEEN:
        for number, scene in enumerate(scenes_of(name, 6 + SHOTS)):
            where = "examples" if number < SHOTS else "shelf"
            draw_for_exam(scene).save(folder / where / f"{name}-{number}.png")
    sqlite_url(folder, migrated_file)
    with Library.open(Settings(data_dir=folder, model="demo", collection="default")) as library:
        index(library, folder / "shelf")
        yield library


def right(library: Library, label_set: LabelSet) -> float:
    encoder, model = library.encoder_for(library.collection())
    choice = choice_of(library, unstored("", label_set), model, lambda: encoder)
    view = library.index(library.collection())
    assert view is not None
    ids = view.index.ids()
    found = choice.ranker(1, len(ids))(view.index.vectors(ids))
    with library.database.read() as connection:
        rows = image_rows(connection, ids.tolist())
    names = [Path(rows[number].uri).name.split("-")[0] for number in ids.tolist()]
    return float(np.mean([choice.names[row[0]] == name for row, name in zip(found.positions, names, strict=True)]))


def examples_of(library: Library, name: str) -> tuple[Example, ...]:
    paths = sorted((library.settings.data_dir / "examples").glob(f"{name}-*.png"))
    return tuple(Example(uri_of(path), read_and_hash(uri_of(path))[1]) for path in paths)


def test_labels_of_words_are_told_apart(demo: Library) -> None:
    assert right(demo, LabelSet(labels=tuple(Label(name=name, prompts=(name,)) for name in OBJECTS))) >= 0.95


@pytest.mark.parametrize("shown", [("boat",), ("umbrella",), ("cat", "clock"), SEEN[:3], SEEN])
def test_labels_of_example_images_hold_their_own_among_words(demo: Library, shown: tuple[str, ...]) -> None:
    labels = tuple(
        Label(name=name, examples=examples_of(demo, name)) if name in shown else Label(name=name, prompts=(name,))
        for name in OBJECTS
    )
    assert right(demo, LabelSet(labels=labels)) >= 0.85


def test_words_and_examples_of_one_label_are_mixed_by_weight(demo: Library) -> None:
    def label_set(weight: float | None) -> LabelSet:
        labels = [Label(name=name, prompts=(name,)) for name in OBJECTS]
        place = OBJECTS.index("boat")
        # The words are wrong on purpose: what is right comes of the examples alone.
        labels[place] = Label(name="boat", prompts=("snow",), words_weight=weight, examples=examples_of(demo, "boat"))
        return LabelSet(labels=tuple(labels))

    assert right(demo, label_set(0.0)) > right(demo, label_set(1.0)) + 0.05
    assert right(demo, label_set(None)) >= right(demo, label_set(1.0))


def test_a_set_of_examples_alone_is_a_choice_too(demo: Library) -> None:
    labels = tuple(Label(name=name, examples=examples_of(demo, name)) for name in SEEN)
    assert right(demo, LabelSet(labels=labels)) >= 0.85


def test_each_label_on_its_own_is_told_where_it_is_and_where_not(demo: Library) -> None:
    answer = classify_stored(demo, Labels(labels=OBJECTS, mode="multi"), top=None)
    there = absent = 0.0
    for one in answer.results:
        name = Path(one.uri).name.split("-")[0]
        there += name in one.labels
        absent += len(set(one.labels) - {name})
    assert there / len(answer.results) >= 0.9
    assert absent / len(answer.results) <= 0.5


def test_adding_a_label_changes_no_other_where_each_is_on_its_own(demo: Library) -> None:
    few = classify_stored(demo, Labels(labels=("boat", "cat"), mode="multi"), top=None)
    more = classify_stored(demo, Labels(labels=("boat", "cat", "tree"), mode="multi"), top=None)
    for one, other in zip(few.results, more.results, strict=True):
        shares = {found.label: found.probability for found in other.predictions}
        for found in one.predictions:
            assert shares[found.label] == pytest.approx(found.probability, abs=1e-12)


def test_a_model_of_few_words_is_asked_about_those_it_knows(demo: Library) -> None:
    _, model = demo.encoder_for(demo.collection())
    encoder = CountingEncoder(demo.encoder("demo"))
    chosen = unstored("", LabelSet(labels=(Label(name="boat"),), mode="multi", templates=("{}",)))
    choice_of(demo, chosen, model, lambda: encoder)
    assert 12 <= encoder.texts < len(background_texts()) / 2


def test_mixed_scenes_are_told_by_mean_average_precision(demo: Library) -> None:
    chance = random.Random(3)
    scenes = [sample_scene(chance, count=2 + place % 2, kinds="several", held_out=True) for place in range(120)]
    encoder, model = demo.encoder_for(demo.collection())
    images = encoder.encode_images([draw_for_exam(scene) for scene in scenes]).vectors
    label_set = LabelSet(labels=tuple(Label(name=name) for name in OBJECTS), mode="multi")
    found = choice_of(demo, unstored("", label_set), model, lambda: encoder).ranker(None, len(images))(images)
    shares = np.empty((len(images), len(OBJECTS)))
    np.put_along_axis(shares, found.positions, found.probabilities, axis=1)
    there = np.array([[any(thing.object == name for thing in scene.things) for name in OBJECTS] for scene in scenes])
    columns = [column for column in range(len(OBJECTS)) if there[:, column].any()]
    precision = float(np.mean([average_precision_score(there[:, one], shares[:, one]) for one in columns]))
    assert precision >= 0.9, precision
