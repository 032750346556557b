"""Published figures: what is compared, what is named as lacking, and what they come to with published weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_fixtures import demo_library, folders_of_things
from image_fixtures import reference_folder

from clipsearch.errors import SourceNotFound
from clipsearch.evaluating import Side, evaluate, read_samples, reproduce
from clipsearch.evaluating.class_names import KNOWN_NAMES
from clipsearch.evaluating.published import NUMBERS, Dataset, PublishedAccuracy, PublishedNumbers
from clipsearch.evaluating.published_accuracies import (
    ACCURACIES,
    CALTECH101,
    CALTECH_TEMPLATES,
    CIFAR_TEMPLATES,
    DATASETS,
)
from clipsearch.evaluating.reference_files import ReferenceFiles
from clipsearch.images import open_picture
from clipsearch.library import Library

SCENES = {"page.png", "astronaut.png", "rocket.jpg", "chelsea.png", "horse.png", "coffee.png", "motorcycle_right.png"}


@pytest.fixture(scope="module")
def library(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with demo_library(tmp_path_factory.mktemp("reference"), migrated_file) as opened:
        yield opened


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders_of_things(tmp_path_factory.getbasetemp())


def numbers(library: Library, folder: Path, name: str, texts: tuple[str, ...]) -> list[PublishedNumbers]:
    """The four kinds of numbers of one picture, computed here from the encoder alone."""
    encoder = library.encoder("demo")
    (found,) = folder.rglob(name)
    seen = encoder.encode_images([open_picture(found).picture])
    read = encoder.encode_texts(list(texts))
    cosines = (read.vectors @ seen.vectors[0]).astype(float)
    logits = encoder.model.logit_scale * cosines
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    first = PublishedNumbers("cosines", "here", "demo", "cosine", tuple(cosines), 1e-3, picture=name, texts=texts)
    row = tuple(map(float, seen.vectors[0][:5]))
    return [
        first,
        replace(first, name="logits", quantity="logit", values=tuple(logits), tolerance=0.1),
        replace(first, name="shares", quantity="probability", values=tuple(shares), tolerance=2e-3),
        replace(first, name="rows", quantity="image embedding", texts=(), values=row),
        replace(
            first, name="raw", quantity="text embedding", texts=texts[:1], picture="", raw=True, tolerance=1e-2,
            values=tuple(map(float, read.vectors[0][:4] * read.norms[0])),
        ),
    ]  # fmt: skip


def test_numbers_that_the_model_gives_are_reproduced_and_shifted_ones_differ(library: Library, things: Path) -> None:
    told: list[str] = []
    right = numbers(library, things, "000.png", ("a red boat", "a cat", "a tree at night"))
    report = reproduce(library, things, right, told=told.append)
    assert [check.state for check in report.checks] == ["reproduced"] * 5, report.checks
    assert (report.reproduced, told) == (5, ["cosines", "logits", "shares", "rows", "raw"])
    wrong = [replace(one, values=(one.values[0] + 2 * one.tolerance, *one.values[1:])) for one in right]
    report = reproduce(library, things, wrong)
    assert [check.state for check in report.checks] == ["different"] * 5
    assert all(check.difference and check.difference > check.tolerance for check in report.checks)


def test_an_accuracy_is_that_of_an_evaluation_of_the_same_folder(library: Library, things: Path) -> None:
    names = {folder.name: folder.name for folder in sorted(things.iterdir())}
    pictures = sum(1 for _ in things.rglob("*.png"))
    templates = ("a photo of a {}.", "a drawing of a {}.")
    dataset = Dataset("things", pictures, names, "drawn here")
    (measured,) = evaluate(library, read_samples(things), [Side(templates=templates)]).contenders
    figures = [
        PublishedAccuracy("here", "demo", dataset, metric, measured.figures[metric].value, 1e-9, templates)
        for metric in ("accuracy_at_1", "mean_per_class_recall")
    ]
    report = reproduce(library, things.parent, figures)
    assert [check.state for check in report.checks] == ["reproduced", "reproduced"], report.checks
    off = replace(figures[0], value=figures[0].value - 0.05)
    assert reproduce(library, things.parent, [off]).different == 1
    short = replace(figures[0], dataset=replace(dataset, pictures=pictures + 1))
    (check,) = reproduce(library, things.parent, [short]).checks
    assert (check.state, check.measured) == ("not checked", [])
    assert f"holds {pictures} pictures, but the figure is of {pictures + 1}" in check.needed[0]


def test_what_lacks_pictures_or_weights_is_named_and_nothing_is_left_out(library: Library) -> None:
    report = reproduce(library)
    assert len(report.checks) == len(NUMBERS) + len(ACCURACIES) == report.not_checked
    published: list[PublishedNumbers | PublishedAccuracy] = [*NUMBERS, *ACCURACIES]
    for check, figure in zip(report.checks, published, strict=True):
        assert f"clipsearch models download {figure.model}" in check.needed[-1]
        if isinstance(figure, PublishedAccuracy) or figure.picture:
            assert "name its folder with --data" in check.needed[0]


def test_weights_without_a_name_are_lacking_too(library: Library, things: Path) -> None:
    figure = replace(numbers(library, things, "000.png", ("a cat", "a dog"))[0], model="no-such-architecture/none")
    (check,) = reproduce(library, things, [figure]).checks
    assert check.state == "not checked"
    assert "no-such-architecture" in check.needed[0]


def test_a_picture_that_cannot_be_read_is_named(library: Library, things: Path, tmp_path: Path) -> None:
    figures = numbers(library, things, "000.png", ("a cat", "a dog"))
    (tmp_path / "000.png").write_bytes(b"no picture")
    for figure in (figures[0], figures[3]):
        (check,) = reproduce(library, tmp_path, [figure]).checks
        assert (check.state, check.measured) == ("not checked", [])
        assert "not an image" in check.needed[0]


def test_a_folder_that_is_not_there_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        reproduce(library, tmp_path / "nowhere")


def test_of_several_folders_with_the_classes_the_measured_split_is_taken(tmp_path: Path) -> None:
    for split, count in (("a-train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                path = tmp_path / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    files = ReferenceFiles(tmp_path)
    for pictures, split in ((6, "a-train"), (4, "test"), (5, "test")):
        found = files.dataset(Dataset("pets", pictures, {"cat": "cat", "dog": "dog"}, ""))
        assert found is not None
        assert Path(found[0]).name == split
    assert files.dataset(Dataset("pets", 4, {"cat": "cat", "cow": "cow"}, "")) is None


@pytest.mark.golden
def test_the_figures_are_those_that_were_collected() -> None:
    collected = json.loads((reference_folder("real_clip") / "clip_reference_numbers.json").read_text())
    table = collected["openai_notebook_interacting_with_clip"]
    columns = [one for one in NUMBERS if one.name.startswith("cosines of")]
    assert [list(column) for column in zip(*table["cosine"], strict=True)] == [list(one.values) for one in columns]
    assert all(one.texts == tuple(f"This is {text}" for text in table["rows_text"]) for one in columns)
    by_name = {one.name: one for one in NUMBERS}
    assert list(by_name["a diagram, a dog or a cat"].values) == collected["openai_readme"]["probs"]
    assert list(by_name["a cat or a dog"].values) == collected["transformers_test"]["logits_per_image"]
    accuracy = collected["accuracy"]
    csv = accuracy["open_clip docs/openclip_results.csv @89fb801"]
    benchmark = accuracy["LAION-AI/CLIP_benchmark benchmark/benchmark.csv @48de38c"]
    told = {"Caltech-101": ("mean_per_class_recall", "Caltech-101"), "CIFAR-10": ("accuracy_at_1", "CIFAR-10")}
    keys = {
        ("CIFAR-10", "accuracy_at_1"): "vtab/cifar10 acc1",
        ("Caltech-101", "accuracy_at_1"): "vtab/caltech101 acc1",
        ("Caltech-101", "mean_per_class_recall"): "vtab/caltech101 mean_per_class_recall",
    }
    for one in ACCURACIES:
        model = one.model.replace("/", " ")
        if "openclip_results" in one.source:
            metric, column = told[one.dataset.name]
            assert (one.metric, one.value) == (metric, csv[model][csv["columns"].index(column)])
        elif "benchmark" in one.source:
            assert one.value == pytest.approx(benchmark[model][keys[one.dataset.name, one.metric]], abs=1e-8)
        else:
            assert 100 * one.value == pytest.approx(accuracy["Imagenette"]['ViT-B/16 openai, "a photo of a {class}"'])


@pytest.mark.golden
def test_the_pictures_of_the_figures_are_found_below_the_shared_folder() -> None:
    files = ReferenceFiles(reference_folder("real_clip").parent)
    wanted = {one.picture for one in NUMBERS if one.picture}
    assert {name for name in wanted if files.picture(name)} == {*SCENES, "CLIP.png"}
    assert all(files.dataset(dataset) is None for dataset in DATASETS)


def test_the_data_sets_have_the_classes_and_templates_that_they_were_measured_with() -> None:
    assert [(one.name, len(one.names)) for one in DATASETS] == [
        ("CIFAR-10", 10),
        ("Caltech-101", 102),
        ("Imagenette", 10),
    ]
    assert (len(set(CIFAR_TEMPLATES)), len(set(CALTECH_TEMPLATES))) == (18, 34)
    assert all(template.count("{}") == 1 for template in (*CIFAR_TEMPLATES, *CALTECH_TEMPLATES))
    assert CALTECH101.names["Faces_easy"] == KNOWN_NAMES["Faces_easy"]
    assert len(set(CALTECH101.names.values())) == 102


@pytest.mark.trained_weights
def test_published_weights_give_the_published_figures(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipsearch.encoder import download_model
    from clipsearch.evaluating.published import B32

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    download_model(B32)
    with demo_library(tmp_path, migrated_file) as library:
        report = reproduce(library, reference_folder("real_clip").parent)
    assert report.different == 0, [check for check in report.checks if check.state == "different"]
    # Seven columns of the table, the diagram, and the embeddings that need a known picture or none.
    assert report.reproduced >= 12
