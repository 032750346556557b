"""Label sets changed in place, their versions and their example images; what is embedded is counted."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from library_fixtures import CountingEncoder, draw, draw_many, index

from clipsearch.classifying import PictureSource, classify_pictures, classify_stored
from clipsearch.database.examples import example_embeddings, save_example_embeddings
from clipsearch.database.images import get_image
from clipsearch.errors import (
    CollectionNotFound,
    Conflict,
    ImageNotFound,
    InvalidInput,
    InvalidLabelSet,
    LabelSetNotFound,
    NotFound,
    UnreadableImage,
)
from clipsearch.examples import example_vectors
from clipsearch.label_files import draft_of, parse_labels, write_labels
from clipsearch.label_set import Example, Label, LabelSet
from clipsearch.labelling import (
    ExampleSource,
    add_examples,
    change_labels,
    check_label_set,
    delete_label_set,
    edit_label,
    install_built_in,
    label_set_history,
    save_label_set,
    set_thresholds,
    show_label_set,
    stored_label_set,
)
from clipsearch.library import Library
from clipsearch.queries import Labels

PETS = draft_of([("cat", ["cat", "kitten"]), ("dog", [])], ["{}"])


@pytest.fixture
def filled(any_library: Library, photos: Path) -> Library:
    """A library of four indexed pictures."""
    draw_many(photos, 4)
    index(any_library, photos)
    return any_library


def test_a_threshold_makes_a_version_and_embeds_nothing(filled: Library, encoder: CountingEncoder) -> None:
    save_label_set(filled, "pets", PETS)
    classify_stored(filled, Labels(label_set="pets"))
    encoder.texts = encoder.images = 0
    before = show_label_set(filled, "pets")
    after = set_thresholds(filled, "pets", {"min_margin": 0.1}, labels={"cat": {"min_probability": 0.6}})
    assert (after.version, after.min_margin, after.labels[0].min_probability) == (2, 0.1, 0.6)
    assert after.digest == before.digest, "scores do not depend on thresholds"
    classify_stored(filled, Labels(label_set="pets"))
    assert (encoder.texts, encoder.images) == (0, 0)
    assert set_thresholds(filled, "pets", {"min_margin": None}).min_margin is None


def test_one_changed_label_is_one_label_embedded(filled: Library, encoder: CountingEncoder) -> None:
    save_label_set(filled, "pets", PETS)
    classify_stored(filled, Labels(label_set="pets"))
    encoder.texts = 0
    after = edit_label(filled, "pets", "dog", {"prompts": ("a puppy",)})
    assert (after.version, after.labels[1].prompts) == (2, ["a puppy"])
    classify_stored(filled, Labels(label_set="pets"))
    assert encoder.texts == 1
    edit_label(filled, "pets", "dog", {"category": "animal", "min_score": 0.1})
    edit_label(filled, "pets", "dog", {"name": "hound"})
    classify_stored(filled, Labels(label_set="pets"))
    assert encoder.texts == 1


def test_labels_are_added_and_removed_by_name(filled: Library) -> None:
    save_label_set(filled, "pets", PETS)
    after = change_labels(filled, "pets", add=(Label(name="guinea_pig"),), remove=("cat",))
    assert [(one.name, one.prompts) for one in after.labels] == [("dog", ["dog"]), ("guinea_pig", ["guinea pig"])]
    with pytest.raises(InvalidLabelSet, match="at least two labels"):
        change_labels(filled, "pets", remove=("dog",))
    assert show_label_set(filled, "pets").version == 2


def test_what_cannot_be_changed_is_refused_and_changes_nothing(library: Library) -> None:
    save_label_set(library, "pets", PETS)
    with pytest.raises(InvalidLabelSet, match="no label 'dgo'; did you mean 'dog'"):
        edit_label(library, "pets", "dgo", {"prompts": ("x",)})
    with pytest.raises(InvalidLabelSet, match="has a label 'cat' already"):
        edit_label(library, "pets", "dog", {"name": "cat"})
    with pytest.raises(InvalidInput, match="a label has no colour"):
        edit_label(library, "pets", "dog", {"colour": "red"})
    with pytest.raises(InvalidLabelSet, match="min_score of the label 'dog' is 2"):
        set_thresholds(library, "pets", {}, labels={"dog": {"min_score": 2.0}})
    with pytest.raises(InvalidInput, match="has no threshold min_margin"):
        set_thresholds(library, "pets", {}, labels={"dog": {"min_margin": 0.1}})
    with pytest.raises(InvalidInput, match="at least one threshold"):
        set_thresholds(library, "pets", {})
    with pytest.raises(LabelSetNotFound):
        set_thresholds(library, "cars", {"min_score": 0.1})
    assert show_label_set(library, "pets").version == 1


def test_every_version_can_be_looked_at_and_says_what_it_changed(any_library: Library) -> None:
    save_label_set(any_library, "pets", PETS)
    set_thresholds(any_library, "pets", {"min_score": 0.2})
    edit_label(any_library, "pets", "dog", {"prompts": ("puppy",), "category": "animal"})
    change_labels(any_library, "pets", add=(Label(name="fish"),), remove=("cat",))
    found = label_set_history(any_library, "pets")
    assert [(one.version, one.labels, one.changes) for one in found] == [
        (4, 2, ["label 'fish' added", "label 'cat' removed"]),
        (3, 2, ["label 'dog': prompts, category"]),
        (2, 2, ["min_score none -> 0.2"]),
        (1, 2, []),
    ]
    first = show_label_set(any_library, "pets", 1)
    assert (first.version, [one.name for one in first.labels], first.min_score) == (1, ["cat", "dog"], None)
    with pytest.raises(NotFound, match="no version 9; known are: 1, 2, 3, 4"):
        show_label_set(any_library, "pets", 9)
    again = save_label_set(any_library, "pets", stored_label_set(any_library, "pets", 1), replace=True)
    assert (again.version, again.labels, again.digest) == (5, first.labels, first.digest)


def test_an_example_is_a_file_an_upload_or_an_image_of_a_collection(filled: Library, encoder: CountingEncoder,
                                                                    photos: Path) -> None:  # fmt: skip
    save_label_set(filled, "pets", PETS)
    encoder.images = 0
    outside = draw(photos.parent / "rex.png", 50)
    add_examples(filled, "pets", "dog", [ExampleSource(data=outside)])
    assert encoder.images == 1
    data = draw(photos.parent / "other.png", 51).read_bytes()
    add_examples(filled, "pets", "dog", [ExampleSource("other.png", data)])
    assert encoder.images == 2
    after = add_examples(filled, "pets", "dog", [ExampleSource(image_id=2), ExampleSource(data=outside)])
    assert encoder.images == 2, "what is embedded already is not embedded again"
    assert after.version == 4
    stored = photos / "0001.png"
    assert [(one.uri, one.digest) for one in after.labels[1].examples] == [
        (str(outside), hashlib.sha256(outside.read_bytes()).hexdigest()),
        ("other.png", hashlib.sha256(data).hexdigest()),
        (str(stored), hashlib.sha256(stored.read_bytes()).hexdigest()),
    ]
    assert after.labels[1].prompts == ["dog"], "it keeps its words beside them"


def test_an_example_outlives_its_file_and_its_image(filled: Library, encoder: CountingEncoder, photos: Path) -> None:
    save_label_set(filled, "pets", PETS)
    add_examples(filled, "pets", "dog", [ExampleSource(image_id=1)])
    row = filled.collection()
    with filled.database.read() as connection:
        digest = get_image(connection, row.id, number=1).content_hash or ""
    (photos / "0000.png").unlink()
    index(filled, photos)
    filled.delete_collection("default")
    model = filled.encoder_for(filled.ensure_collection()[0])[1]
    encoder.images = 0
    found = example_vectors(filled, model, lambda: encoder, [Example("gone.png", digest)])
    assert set(found) == {digest}
    assert encoder.images == 0


def test_a_label_of_examples_alone_is_found_by_its_picture(filled: Library, photos: Path) -> None:
    labels = tuple(
        Label(name=f"picture {number}", examples=(Example(str(photos / f"{number:04}.png")),)) for number in range(3)
    )
    made = save_label_set(filled, "seen", LabelSet(labels=labels))
    assert all(not one.prompts and one.examples[0].digest for one in made.labels)
    sources = [PictureSource(str(number), photos / f"{number:04}.png") for number in range(3)]
    answer = classify_pictures(filled, sources, Labels(label_set="seen"))
    assert [one.label for one in answer.results] == ["picture 0", "picture 1", "picture 2"]


def test_a_set_with_examples_is_written_out_and_read_in_again(filled: Library, photos: Path) -> None:
    label = Label(name="dog", prompts=("a dog",), examples=(Example(str(photos / "0000.png")),), words_weight=0.3)
    first = save_label_set(filled, "pets", LabelSet(labels=(label, Label(name="cat"))))
    text = write_labels(stored_label_set(filled, "pets"))
    (photos / "0000.png").unlink()
    again = save_label_set(filled, "again", parse_labels(text, "yaml"))
    assert (again.labels, again.digest) == (first.labels, first.digest)


def test_an_image_without_a_file_is_an_example_by_its_embedding(filled: Library) -> None:
    row = filled.collection()
    with filled.database.read() as connection:
        assert get_image(connection, row.id, number=1).content_hash
    with filled.database.write() as connection:
        from sqlalchemy import text

        connection.execute(text("UPDATE image SET content_hash = NULL, uri = 's3://b/1.png' WHERE id = 1"))
    save_label_set(filled, "pets", PETS)
    after = add_examples(filled, "pets", "dog", [ExampleSource(image_id=1)])
    [example] = after.labels[1].examples
    assert (example.uri, len(example.digest)) == ("s3://b/1.png", 64)
    by_uri = dataclasses.replace(PETS.labels[0], examples=(Example("s3://b/1.png"),))
    made = save_label_set(filled, "more", LabelSet(labels=(by_uri, Label(name="x"))))
    assert made.labels[0].examples == after.labels[1].examples


def test_what_is_no_example_is_refused_by_name(filled: Library, photos: Path) -> None:
    save_label_set(filled, "pets", PETS)
    (photos / "words.png").write_text("no picture")
    with pytest.raises(UnreadableImage):
        add_examples(filled, "pets", "dog", [ExampleSource(data=photos / "words.png")])
    with pytest.raises(UnreadableImage, match=r"the example '.*none\.png' of the label 'cat' cannot be used"):
        save_label_set(filled, "x", LabelSet(labels=(Label(name="cat", examples=(Example(str(photos / "none.png")),)),
                                                     Label(name="dog"))))  # fmt: skip
    with pytest.raises(ImageNotFound):
        add_examples(filled, "pets", "dog", [ExampleSource(image_id=99)])
    with pytest.raises(InvalidLabelSet, match="no label 'cow'"):
        add_examples(filled, "pets", "cow", [ExampleSource(image_id=1)])
    with pytest.raises(InvalidInput, match="at least one image"):
        add_examples(filled, "pets", "dog", [])
    changed = Label(name="cat", examples=(Example(str(photos / "0000.png"), "0" * 64),))
    with pytest.raises(InvalidInput, match="is not the image it was"):
        save_label_set(filled, "x", LabelSet(labels=(changed, Label(name="dog"))))
    with pytest.raises(InvalidInput, match="is not known here; upload it"):
        save_label_set(filled, "x", LabelSet(labels=(changed, Label(name="dog"))), may_read_files=False)
    assert show_label_set(filled, "pets").version == 1


def test_an_example_that_another_model_needs_is_opened_again_or_named(filled: Library, encoder: CountingEncoder,
                                                                      photos: Path) -> None:  # fmt: skip
    model = filled.encoder_for(filled.collection())[1]
    path = draw(photos.parent / "rex.png", 60)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(example_vectors(filled, model, lambda: encoder, [Example(str(path), digest)])) == {digest}
    other = draw(photos.parent / "max.png", 61)
    with pytest.raises(Conflict, match="its file has changed since"):
        example_vectors(filled, model, lambda: encoder, [Example(str(path), hashlib.sha256(b"").hexdigest())])
    gone = hashlib.sha256(other.read_bytes()).hexdigest()
    other.unlink()
    with pytest.raises(Conflict, match=r"its file cannot be read; add it again: clipsearch labels add-example"):
        example_vectors(filled, model, lambda: encoder, [Example(str(other), gone)])


def test_a_damaged_example_is_made_anew(filled: Library, encoder: CountingEncoder) -> None:
    model = filled.encoder_for(filled.collection())[1]
    dimension = model.model.dimension
    vector = np.eye(1, dimension, dtype=np.float32)
    with filled.database.write() as connection:
        from sqlalchemy import text

        save_example_embeddings(connection, model.id, ["0" * 64], vector)
        connection.execute(text("UPDATE example_embedding SET vector = :bytes"), {"bytes": b"xx"})
        assert example_embeddings(connection, model.id, dimension, ["0" * 64]) == {}
        save_example_embeddings(connection, model.id, ["0" * 64], vector)
        assert example_embeddings(connection, model.id, dimension, ["0" * 64])["0" * 64] == pytest.approx(vector[0])


def test_a_built_in_set_is_shown_by_its_name_and_changed_as_a_copy(any_library: Library) -> None:
    assert show_label_set(any_library, "builtin:scenes").version == 0
    made = install_built_in(any_library, "scenes")
    assert (made.name, made.version) == ("scenes", 1)
    assert made.digest == show_label_set(any_library, "builtin:scenes").digest
    assert install_built_in(any_library, "builtin:scenes", new_name="places").name == "places"
    for change in (
        lambda name: save_label_set(any_library, name, PETS),
        lambda name: set_thresholds(any_library, name, {"min_score": 0.1}),
        lambda name: add_examples(any_library, name, "beach", [ExampleSource(image_id=1)]),
        lambda name: delete_label_set(any_library, name),
    ):
        with pytest.raises(InvalidLabelSet, match="clipsearch labels install scenes --as NAME"):
            change("builtin:scenes")


def test_what_to_think_over_is_said_when_a_set_is_made(library: Library) -> None:
    mixed = LabelSet(labels=(Label(name="crane", negatives=("no crane",)), Label(name="dog", category="animal")))
    made = save_label_set(library, "mixed", mixed)
    assert [words.split(";")[0] for words in made.warnings] == [
        "the label 'crane' has several meanings (a bird, a machine)",
        "negatives are used in the mode binary only",
        "some labels have a category, 'crane' have none",
    ]


def test_a_check_asks_the_model_what_it_cuts(filled: Library, encoder: CountingEncoder) -> None:
    long = " ".join(f"word{number}" for number in range(100))
    save_label_set(filled, "long", draft_of([("cat", [long]), ("dog", [])], ["{}"]))
    found = check_label_set(filled, "long")
    assert [words.split(",")[0] for words in found] == ["the label 'cat' is too long for the model"]
    assert encoder.texts == 0


def test_a_check_without_a_collection_says_that_no_model_was_asked(library: Library) -> None:
    save_label_set(library, "pets", PETS)
    assert check_label_set(library, "pets") == ["there is no collection yet, and so no model to ask what it cuts or "
                                                "never saw"]  # fmt: skip
    with pytest.raises(CollectionNotFound):
        check_label_set(library, "pets", collection="cars")


def test_an_id_that_no_image_can_have_is_refused_clearly(filled: Library) -> None:
    save_label_set(filled, "pets", PETS)
    for number in (2**70, 2**63, 0, -1):
        with pytest.raises(ImageNotFound, match="ids are whole numbers"):
            add_examples(filled, "pets", "cat", [ExampleSource(image_id=number)])
    with pytest.raises(InvalidInput, match="True is no id"):
        add_examples(filled, "pets", "cat", [ExampleSource(image_id=True)])
