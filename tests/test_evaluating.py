"""Evaluations on pictures of known contents: figures, mistakes, thresholds, sweeps and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from evaluation_fixtures import (
    captioned_pictures,
    demo_library,
    folders_of_things,
    mixed_pictures,
    write_table,
)

from clipsearch.api import OpenLibrary
from clipsearch.database import label_sets as label_rows
from clipsearch.database.images import get_image
from clipsearch.database.reviews import save_review
from clipsearch.demo.scenes import OBJECTS
from clipsearch.errors import Conflict, InvalidInput, LabelSetNotFound
from clipsearch.evaluating import EvaluationOptions, Material, Sample, Side, evaluate, read_reviews, read_samples
from clipsearch.evaluating.tuning import write_thresholds
from clipsearch.indexing import index_source
from clipsearch.label_set import Label, LabelSet
from clipsearch.library import Library

QUICK = EvaluationOptions(resamples=100)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module")
def things(base: Path) -> Material:
    return read_samples(folders_of_things(base))


@pytest.fixture(scope="module")
def library(base: Path, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library in which the pictures of single things are indexed, and a label set of all objects is stored."""
    with demo_library(tmp_path_factory.mktemp("evaluated"), migrated_file) as opened:
        index_source(opened, folders_of_things(base))
        labels = tuple(Label(name=name, prompts=(name,)) for name in OBJECTS)
        with opened.database.write() as connection:
            label_rows.save_label_set(connection, "things", LabelSet(labels=labels, templates=("a photo of a {}.",)))
        yield opened


def test_single_things_of_unseen_combinations_are_told_apart(library: Library, things: Material) -> None:
    answer = evaluate(library, things, options=QUICK)
    (found,) = answer.contenders
    assert found.figures["accuracy_at_1"].value >= 0.95
    assert found.figures["accuracy_at_5"].value >= found.figures["accuracy_at_1"].value
    assert found.figures["mean_per_class_recall"].value >= 0.93
    assert 0 <= found.figures["calibration_error"].value <= 0.1
    for name in ("accuracy_at_1", "mean_per_class_recall"):
        low, high = found.figures[name].low, found.figures[name].high
        assert low is not None
        assert high is not None
        assert low <= found.figures[name].value <= high
        assert low < 1
    assert (answer.images, found.images, found.encoded) == (len(things.samples), len(things.samples), 0)
    assert (found.mode, found.label_set, found.labels) == ("single", None, len(things.classes))


def test_the_figures_follow_from_what_the_same_set_says_image_by_image(library: Library, things: Material) -> None:
    from clipsearch.classifying import classify_stored
    from clipsearch.queries import Labels

    (found,) = evaluate(library, things, [Side(label_set="things")], options=QUICK).contenders
    answers = {one.uri: one for one in classify_stored(library, Labels(label_set="things"), top=5).results}
    truth = {sample.uri: sample.labels[0] for sample in things.samples}
    given = {uri: answers[uri].predictions[0].label for uri in truth}
    right = [given[uri] == truth[uri] for uri in truth]
    in_five = [truth[uri] in [one.label for one in answers[uri].predictions] for uri in truth]
    assert found.figures["accuracy_at_1"].value == pytest.approx(np.mean(right))
    assert found.figures["accuracy_at_5"].value == pytest.approx(np.mean(in_five))
    support = Counter(truth.values())
    recalls = {name: sum(given[uri] == name for uri in truth if truth[uri] == name) / support[name] for name in support}
    assert found.figures["mean_per_class_recall"].value == pytest.approx(np.mean(list(recalls.values())))
    assert {one.label: one.recall for one in found.per_label if one.images} == pytest.approx(recalls)
    assert {(one.truth, one.predicted): one.images for one in found.most_confused} == Counter(
        (truth[uri], given[uri]) for uri in truth if truth[uri] != given[uri]
    )
    wrong = {uri for uri in truth if truth[uri] != given[uri]}
    assert {one.uri for one in found.mistakes} == wrong
    certain = [one.probability or 0.0 for one in found.mistakes]
    assert certain == sorted(certain, reverse=True)
    place = {name: row for row, name in enumerate(found.confusion_labels)}
    assert sum(map(sum, found.confusion_matrix)) == len(truth)
    assert sum(found.confusion_matrix[place[name]][place[name]] for name in place) == sum(right)
    assert sum(one.images for one in found.calibration) == len(truth)


def test_pictures_that_the_library_lacks_are_encoded_and_nothing_is_indexed(
    base: Path, things: Material, migrated_file: Path, tmp_path: Path
) -> None:
    some = Material("some", "folder", things.samples[:12])
    with demo_library(tmp_path, migrated_file) as empty:
        (found,) = evaluate(empty, some, options=QUICK).contenders
        assert found.encoded == len({Path(sample.uri).read_bytes() for sample in some.samples})
        with empty.database.read() as connection:
            from clipsearch.database.collections import find_collection

            assert find_collection(connection, "default") is None


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_measured(library: Library, tmp_path: Path) -> None:
    from library_fixtures import draw

    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"no picture")
    draw(tmp_path / "cat" / "fine.png", 1)
    draw(tmp_path / "dog" / "fine.png", 2)
    (found,) = evaluate(library, read_samples(tmp_path), options=QUICK).contenders
    assert (found.images, [(one.code, Path(one.uri).name) for one in found.failed]) == (
        2,
        [("unsupported_format", "broken.jpg")],
    )


def test_only_unreadable_files_are_an_error_with_a_reason(library: Library, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"none of the 1 pictures .* can be used: .*broken\.jpg"):
        evaluate(library, read_samples(tmp_path), options=QUICK)


def test_classes_without_a_label_are_named_and_left_out_and_can_be_mapped(library: Library, things: Material) -> None:
    samples = [
        Sample(sample.uri, ("vessel",) if sample.labels == ("boat",) else sample.labels) for sample in things.samples
    ]
    vessels = sum(sample.labels == ("vessel",) for sample in samples)
    renamed = Material("renamed", "folder", samples)
    (found,) = evaluate(library, renamed, [Side(label_set="things")], options=QUICK).contenders
    assert found.unknown_classes == {"vessel": vessels}
    assert found.images == len(samples) - vessels
    (warning,) = (one for one in found.warnings if "--map CLASS=LABEL" in one)
    assert f"'vessel' ({vessels});" in warning
    (mapped,) = evaluate(library, renamed, [Side("things", renamed={"vessel": "boat"})], options=QUICK).contenders
    (plain,) = evaluate(library, things, [Side("things")], options=QUICK).contenders
    assert (mapped.unknown_classes, mapped.figures) == ({}, plain.figures)


def test_a_class_may_be_mapped_by_its_folders_name_and_a_misspelt_one_is_refused(
    library: Library, things: Material
) -> None:
    samples = [Sample(one.uri, ("sea ship",) if one.labels == ("boat",) else one.labels) for one in things.samples]
    ships = Material("ships", "folder", samples, folders={"sea ship": "n01_sea_ship"})
    for spelled in ("sea ship", "Sea_Ship", "n01_sea_ship"):
        (found,) = evaluate(library, ships, [Side("things", renamed={spelled: "boat"})], options=QUICK).contenders
        assert found.unknown_classes == {}
    with pytest.raises(InvalidInput, match="has no class 'sea shop'"):
        evaluate(library, ships, [Side("things", renamed={"sea shop": "boat"})], options=QUICK)


def test_labels_and_thresholds_are_refused_for_captions(library: Library, base: Path) -> None:
    captions = read_samples(captioned_pictures(base))
    with pytest.raises(InvalidInput, match="holds captions"):
        evaluate(library, captions, [Side(label_set="things")])
    with pytest.raises(InvalidInput, match="holds captions"):
        evaluate(library, captions, options=EvaluationOptions(tune=True))


def test_a_stored_set_can_be_tried_under_another_template(library: Library, things: Material) -> None:
    (found,) = evaluate(library, things, [Side("things", templates=("a drawing of a {}.",))], options=QUICK).contenders
    assert (found.label_set, found.label_set_version, found.templates) == ("things", None, ["a drawing of a {}."])


def test_no_known_class_and_no_known_set_are_refused(library: Library, things: Material) -> None:
    strange = Material("strange", "folder", [Sample(one.uri, ("zebra",)) for one in things.samples[:3]])
    with pytest.raises(InvalidInput, match=r"zebra.*--map"):
        evaluate(library, strange, [Side(label_set="things")], options=QUICK)
    with pytest.raises(LabelSetNotFound):
        evaluate(library, things, [Side(label_set="nothing")], options=QUICK)


def test_names_that_fit_nothing_are_refused_before_a_model_is_loaded(
    things: Material, migrated_file: Path, tmp_path: Path
) -> None:
    with demo_library(tmp_path, migrated_file) as empty:
        with pytest.raises(InvalidInput, match="no class"):
            evaluate(empty, things, [Side(label_set="builtin:photo-quality")], options=QUICK)
        blank = Material("blank", "table", [Sample(things.samples[0].uri)])
        with pytest.raises(InvalidInput, match="has a label"):
            evaluate(empty, blank, [Side(label_set="builtin:objects")], options=QUICK)
        assert empty.loaded_encoder("demo") is None


def test_an_image_without_a_file_is_named_when_another_model_is_to_see_it(library: Library, things: Material) -> None:
    some = Material("some", "reviews", [Sample("an imported name", ("boat",)), things.samples[0]])
    (found,) = evaluate(library, some, [Side(label_set="things")], options=QUICK).contenders
    assert [(one.uri, one.code) for one in found.failed] == [("an imported name", "invalid_input")]
    assert found.images == 1


def test_a_built_in_set_can_be_measured(library: Library, things: Material) -> None:
    (found,) = evaluate(library, things, [Side(label_set="builtin:objects")], options=QUICK).contenders
    assert found.labels >= 400
    assert set(found.unknown_classes) < set(things.classes)


def test_pictures_with_several_labels_are_measured_by_average_precision(library: Library, base: Path) -> None:
    answer = evaluate(library, read_samples(mixed_pictures(base)), options=QUICK)
    (found,) = answer.contenders
    assert (answer.kind, found.mode) == ("table", "multi")
    assert found.figures["mean_average_precision"].value >= 0.8
    assert {"f1", "micro_average_precision", "calibration_error"} <= set(found.figures)
    assert "accuracy_at_1" not in found.figures
    known = [one.average_precision for one in found.per_label if one.average_precision is not None]
    assert found.figures["mean_average_precision"].value == pytest.approx(np.mean(known))
    assert all(set(one.truth) != set(one.predicted) for one in found.mistakes)
    assert all((one.probability is None) != (one.truth_probability is None) for one in found.mistakes)


def test_captions_are_measured_by_whether_they_find_their_pictures(library: Library, base: Path) -> None:
    answer = evaluate(library, read_samples(captioned_pictures(base)), options=QUICK)
    (found,) = answer.contenders
    names = [f"{way}_recall_at_{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)]
    assert list(found.figures) == names
    values = [found.figures[name].value for name in names]
    assert values[:3] == sorted(values[:3])
    assert found.figures["text_to_image_recall_at_10"].value >= 0.9


def test_two_models_stand_side_by_side_with_their_difference(library: Library, things: Material) -> None:
    answer = evaluate(library, things, [Side(), Side(model="demo-sigmoid")], options=QUICK)
    first, second = answer.contenders
    assert (first.model, second.model) == ("demo", "demo-sigmoid")
    assert second.encoded > 0
    for name in ("accuracy_at_1", "mean_per_class_recall"):
        expected = second.figures[name].value - first.figures[name].value
        assert answer.differences[name].value == pytest.approx(expected)


def test_a_set_beside_itself_differs_by_nothing(library: Library, things: Material) -> None:
    answer = evaluate(library, things, [Side("things"), Side("things")], options=QUICK)
    assert {(one.value, one.low, one.high) for one in answer.differences.values()} == {(0.0, 0.0, 0.0)}


def test_templates_are_swept_over_and_the_first_one_is_what_the_others_are_held_against(
    library: Library, things: Material
) -> None:
    templates = ("a photo of a {}.", "nothing but night and snow, and perhaps {}")
    options = EvaluationOptions(resamples=100, sweep=templates)
    answer = evaluate(library, things, [Side(label_set="things")], options=options)
    assert [one.template for one in answer.templates] == [*templates, None]
    first, second, _ = answer.templates
    assert first.difference is None
    assert first.figures == answer.contenders[0].figures
    assert second.difference is not None
    change = second.figures["accuracy_at_1"].value - first.figures["accuracy_at_1"].value
    assert second.difference.value == pytest.approx(change)


def test_tuned_thresholds_are_written_back_embed_nothing_and_give_what_was_promised(
    library: Library, base: Path
) -> None:
    labels = tuple(Label(name=name, prompts=(name,)) for name in OBJECTS)
    with library.database.write() as connection:
        wanted = LabelSet(labels=labels, templates=("a photo of a {}.",), mode="multi", min_probability=0.2)
        before = label_rows.save_label_set(connection, "several", wanted)
    material = read_samples(mixed_pictures(base))
    options = EvaluationOptions(resamples=50, write_thresholds=True)
    answer = evaluate(library, material, [Side(label_set="several")], options=options)
    promised = {one.label: one for one in answer.contenders[0].thresholds}
    assert answer.written_to == "several"
    with library.database.read() as connection:
        after = label_rows.get_label_set(connection, "several")
    assert (after.version, after.digest) == (before.version + 1, before.digest)
    assert {one.name: one.min_probability for one in after.labels if one.min_probability is not None} == {
        name: one.min_probability for name, one in promised.items()
    }
    again = evaluate(library, material, [Side(label_set="several")], options=QUICK).contenders[0]
    assert {one.label: one.f1 for one in again.per_label if one.label in promised} == pytest.approx(
        {name: one.f1 for name, one in promised.items()}
    )
    assert promised
    assert all(one.f1 > (one.f1_before or 0) for one in promised.values())
    # What cannot be bettered stays, and the set with it.
    options = EvaluationOptions(resamples=50, write_thresholds=True)
    assert evaluate(library, material, [Side(label_set="several")], options=options).written_to is None
    with library.database.read() as connection:
        assert label_rows.get_label_set(connection, "several").version == after.version
    with pytest.raises(Conflict, match="was changed while"):
        write_thresholds(library, before, answer.contenders[0].thresholds)


def test_thresholds_of_a_set_that_is_not_stored_cannot_be_written(library: Library, things: Material) -> None:
    with pytest.raises(InvalidInput, match="stored label set"):
        evaluate(library, things, options=EvaluationOptions(resamples=10, write_thresholds=True))


def test_reviewed_tags_are_a_truth_to_measure_by(library: Library, things: Material) -> None:
    row = library.collection()
    with pytest.raises(InvalidInput, match="clipsearch review things"):
        read_reviews(library, "things")
    with library.database.write() as connection:
        label_set = label_rows.get_label_set(connection, "things")
        for place, sample in enumerate(things.samples[:20]):
            image = get_image(connection, row.id, uri=sample.uri)
            verdict = "skipped" if place == 0 else "accepted"
            names = [] if place == 0 else list(sample.labels)
            save_review(connection, label_set.id, label_set.version, image, verdict, names)
    reviewed = read_reviews(library, "things")
    assert {one.uri: one.labels for one in reviewed.samples} == {one.uri: one.labels for one in things.samples[1:20]}
    assert [one.code for one in reviewed.failed] == ["skipped"]
    answer = evaluate(library, reviewed, [Side(label_set="things")], options=QUICK)
    same = Material("same", "folder", things.samples[1:20])
    (by_file,) = evaluate(library, same, [Side(label_set="things")], options=QUICK).contenders
    assert answer.contenders[0].figures.keys() == by_file.figures.keys()
    assert answer.contenders[0].figures["accuracy_at_1"] == by_file.figures["accuracy_at_1"]


def test_images_decided_to_be_none_of_them_are_counted_and_are_no_failures(library: Library, things: Material) -> None:
    reviewed = Material("reviews", "reviews", [*things.samples[:5], Sample(things.samples[6].uri)])
    (found,) = evaluate(library, reviewed, [Side(label_set="things")], options=QUICK).contenders
    assert (found.failed, found.images) == ([], 5)
    assert any("1 images were decided to be none of them" in warning for warning in found.warnings)


def test_pictures_of_one_caption_are_each_right_for_it(library: Library, things: Material) -> None:
    captioned = [Sample(sample.uri, captions=("a thing",)) for sample in things.samples[:12]]
    (found,) = evaluate(library, Material("same", "captions", captioned), options=QUICK).contenders
    assert {name: one.value for name, one in found.figures.items()} == dict.fromkeys(found.figures, 1.0)


def test_a_picture_without_a_label_is_named_where_one_is_to_be_chosen(library: Library, things: Material) -> None:
    table = Material("one blank", "table", [*things.samples[:5], Sample(things.samples[6].uri)])
    (found,) = evaluate(library, table, [Side(label_set="things")], options=QUICK).contenders
    assert [(one.code, one.uri) for one in found.failed] == [("no_label", things.samples[6].uri)]
    assert found.images == 5


def test_rejected_images_are_counted_and_the_accuracy_of_the_rest_is_told(library: Library, things: Material) -> None:
    labels = tuple(Label(name=name, prompts=(name,)) for name in OBJECTS)
    with library.database.write() as connection:
        wanted = LabelSet(labels=labels, templates=("a photo of a {}.",), min_probability=0.99)
        label_rows.save_label_set(connection, "strict", wanted)
    (found,) = evaluate(library, things, [Side(label_set="strict")], options=QUICK).contenders
    assert 0 < found.figures["share_accepted"].value < 1
    assert found.figures["accuracy_of_accepted"].value >= found.figures["accuracy_at_1"].value


def test_an_empty_table_of_labels_is_nothing_to_measure(library: Library, tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv", ["file", "label"], [["gone.png", "cat"]])
    with pytest.raises(InvalidInput, match="no picture with a known truth"):
        evaluate(library, read_samples(table), options=QUICK)


def test_python_measures_folders_and_reviews_and_writes_reports(library: Library, base: Path, tmp_path: Path) -> None:
    opened = OpenLibrary(library)
    answer = opened.evaluate(folders_of_things(base), label_set="things", report=tmp_path / "report.html", resamples=20)
    assert answer.report == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    with pytest.raises(InvalidInput, match="name a folder or a table"):
        opened.evaluate()
    assert opened.index_recall(queries=10).by_image.queries == 10
