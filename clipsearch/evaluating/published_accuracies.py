"""Published accuracies of zero-shot classification, with the classes and templates that they were measured with."""

from __future__ import annotations

from clipsearch.evaluating.class_names import KNOWN_NAMES
from clipsearch.evaluating.published import (
    B16,
    B32,
    DATACOMP_B32,
    DATACOMP_L14,
    L14,
    LAION_B32,
    Dataset,
    Metric,
    PublishedAccuracy,
)

_CSV = "mlfoundations/open_clip, docs/openclip_results.csv"
_BENCHMARK = "LAION-AI/CLIP_benchmark, benchmark/benchmark.csv"
_IMAGENETTE = 'README of "Fine-Tuning CLIP on ImageNette with LoRA"'
# Another decoder moves a few pictures in ten thousand; of Caltech-101 the two sources differ by .009 themselves.
_OF_TEN_THOUSAND, _OF_SIX_THOUSAND, _OF_FOUR_THOUSAND = 0.004, 0.01, 0.01

# CLIP's own prompts (openai/CLIP, data/prompts.md), which the benchmark took over: every frame with a and with the.
CIFAR_TEMPLATES = tuple(
    frame.replace("ART", article)
    for article in ("a", "the")
    for frame in (
        "a photo of ART {}.", "a blurry photo of ART {}.", "a black and white photo of ART {}.",
        "a low contrast photo of ART {}.", "a high contrast photo of ART {}.", "a bad photo of ART {}.",
        "a good photo of ART {}.", "a photo of ART small {}.", "a photo of ART big {}.",
    )
)  # fmt: skip
CALTECH_TEMPLATES = tuple(
    frame.replace("ART", article)
    for article in ("a", "the")
    for frame in (
        "a photo of ART {}.", "a painting of ART {}.", "ART plastic {}.", "a sculpture of ART {}.",
        "a sketch of ART {}.", "a tattoo of ART {}.", "ART toy {}.", "a rendition of ART {}.", "ART embroidered {}.",
        "ART cartoon {}.", "ART {} in a video game.", "ART plushie {}.", "ART origami {}.", "art of ART {}.",
        "graffiti of ART {}.", "a drawing of ART {}.", "a doodle of ART {}.",
    )
)  # fmt: skip

_CIFAR_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
# Folders whose class is their name with spaces for underscores.
_CALTECH_FOLDERS = """accordion anchor ant barrel bass beaver binocular bonsai brain brontosaurus buddha butterfly
camera cannon ceiling_fan cellphone chair chandelier crab crayfish crocodile cup dalmatian dollar_bill dolphin dragonfly
electric_guitar elephant emu euphonium ewer ferry flamingo garfield gerenuk gramophone grand_piano hawksbill headphone
hedgehog helicopter ibis inline_skate joshua_tree kangaroo ketch lamp laptop llama lobster lotus mandolin mayfly menorah
metronome minaret nautilus octopus okapi pagoda panda pigeon pizza platypus pyramid revolver rhino rooster saxophone
schooner scissors scorpion sea_horse soccer_ball stapler starfish stegosaurus stop_sign strawberry sunflower tick
trilobite umbrella watch water_lilly wheelchair wild_cat windsor_chair wrench""".split()
_CALTECH_NAMES = {
    "BACKGROUND_Google": "background",
    "Faces": "off-center face",
    "Faces_easy": "centered face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
    "airplanes": "airplane",
    "car_side": "side of a car",
    "cougar_body": "body of a cougar cat",
    "cougar_face": "face of a cougar cat",
    "crocodile_head": "head of a  crocodile",  # with two spaces, as it was measured
    "flamingo_head": "head of a flamingo",
    "snoopy": "snoopy (cartoon beagle)",
    "yin_yang": "yin and yang symbol",
}

CIFAR10 = Dataset(
    "CIFAR-10",
    10_000,
    {name: name for name in _CIFAR_CLASSES},
    "the test split (https://www.cs.toronto.edu/~kriz/cifar.html) as PNG files in a folder per class",
)
CALTECH101 = Dataset(
    "Caltech-101",
    6_085,
    {**_CALTECH_NAMES, **{name: name.replace("_", " ") for name in _CALTECH_FOLDERS}},
    "the test split of VTAB (TensorFlow Datasets, caltech101) in a folder per class, named as in 101_ObjectCategories",
)
IMAGENETTE = Dataset(
    "Imagenette",
    3_925,
    {folder: name for folder, name in KNOWN_NAMES.items() if folder.startswith("n0")},
    "the folder val of https://github.com/fastai/imagenette",
)
DATASETS = (CIFAR10, CALTECH101, IMAGENETTE)


def _published(source: str, dataset: Dataset, metric: Metric, values: dict[str, float]) -> list[PublishedAccuracy]:
    templates = {CIFAR10.name: CIFAR_TEMPLATES, CALTECH101.name: CALTECH_TEMPLATES}.get(
        dataset.name, ("a photo of a {}",)
    )
    tolerance = {CIFAR10.name: _OF_TEN_THOUSAND, CALTECH101.name: _OF_SIX_THOUSAND}.get(dataset.name, _OF_FOUR_THOUSAND)
    return [
        PublishedAccuracy(source, model, dataset, metric, value, tolerance, templates)
        for model, value in values.items()
    ]


ACCURACIES: tuple[PublishedAccuracy, ...] = (
    *_published(
        _CSV,
        CIFAR10,
        "accuracy_at_1",
        {B32: 0.8983, L14: 0.9559, LAION_B32: 0.9358, DATACOMP_B32: 0.9561, DATACOMP_L14: 0.9824},
    ),
    *_published(_BENCHMARK, CIFAR10, "accuracy_at_1", {B32: 0.8982, L14: 0.9569}),
    # That table's column is the mean over classes, as the benchmark's second metric shows.
    *_published(
        _CSV,
        CALTECH101,
        "mean_per_class_recall",
        {B32: 0.8758, L14: 0.9249, LAION_B32: 0.9105, DATACOMP_B32: 0.923, DATACOMP_L14: 0.9465},
    ),
    *_published(_BENCHMARK, CALTECH101, "accuracy_at_1", {B32: 0.819197896, L14: 0.838593031}),
    *_published(_BENCHMARK, CALTECH101, "mean_per_class_recall", {B32: 0.878652164, L14: 0.933453056}),
    *_published(_IMAGENETTE, IMAGENETTE, "accuracy_at_1", {B16: 0.9946}),
)
