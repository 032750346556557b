"""Examines a model on scenes that training never saw; it alone sets the exam and computes the figures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from clipsearch.demo.scenes import (
    COLOURS,
    HELD_OUT,
    OBJECTS,
    PLACES,
    TIMES,
    Scene,
    Triple,
    sample_scene,
    scene_of,
)
from clipsearch.demo.wording import PLACE_PHRASES, TIME_PHRASES, plural, with_article

PRECISION_DEPTH: Final = 5
EXAM_SEED: Final = 2027
DEMANDED: Final[dict[str, float]] = {
    "object_accuracy": 0.96,
    "colour_accuracy": 0.96,
    "place_accuracy": 0.96,
    "time_accuracy": 0.96,
    "count_accuracy": 0.85,
    "precision_at_5": 0.95,
    "object_map": 0.90,
}

_SHAPES: Final = ((480, 360), (512, 344), (400, 400), (360, 480), (480, 384))
_PREFIXES: Final = ("", "a photo of ", "a picture of ", "a drawing of ")
_NUMBERS: Final = ("one", "two", "three")

Vectors = npt.NDArray[np.float32]


class EncoderLike(Protocol):
    """Whatever turns pictures and texts into unit vectors of one space."""

    def encode_images(self, pictures: Sequence[Any]) -> Vectors:
        """One row for each picture."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """One row for each text."""
        ...


@dataclass(frozen=True, slots=True)
class Exam:
    """The scenes of one examination: single things, things to count, several kinds, and a shelf to search."""

    singles: tuple[Scene, ...]
    counted: tuple[Scene, ...]
    mixed: tuple[Scene, ...]
    queries: tuple[Triple, ...]
    shelf: tuple[Scene, ...]


def set_exam(*, singles: int = 1000, queries: int = 200, seed: int = EXAM_SEED) -> Exam:
    """Sample an examination: nothing in it but the distractors was ever seen in training."""
    rng = random.Random(seed)
    asked = rng.sample(HELD_OUT, min(queries, len(HELD_OUT)))
    shelf = [scene_of(rng, triple) for triple in asked for _ in range(PRECISION_DEPTH)]
    shelf += [sample_scene(rng, held_out=False) for _ in range(3 * queries)]
    return Exam(
        singles=tuple(scene_of(rng, rng.choice(HELD_OUT)) for _ in range(singles)),
        counted=tuple(sample_scene(rng, count=1 + n % 3, kinds="one", held_out=True) for n in range(singles // 2)),
        mixed=tuple(sample_scene(rng, count=2 + n % 2, kinds="several", held_out=True) for n in range(singles // 2)),
        queries=tuple(asked),
        shelf=tuple(shelf),
    )


def measure(encoder: EncoderLike, exam: Exam, *, workers: int = 1) -> dict[str, float]:
    """Draw the exam, have the encoder look at it, and return every figure by name."""
    singles = _seen(encoder, exam.singles, workers)
    figures = {
        "object_accuracy": _accuracy(
            singles,
            encoder,
            [with_article(name) for name in OBJECTS],
            [OBJECTS.index(s.things[0].object) for s in exam.singles],
        ),
        "colour_accuracy": _accuracy(
            singles,
            encoder,
            [f"{with_article(name)} thing" for name in COLOURS],
            [COLOURS.index(s.things[0].colour) for s in exam.singles],
        ),
        "place_accuracy": _accuracy(
            singles,
            encoder,
            [f"something {PLACE_PHRASES[name][0]}" for name in PLACES],
            [PLACES.index(s.place) for s in exam.singles],
        ),
        "time_accuracy": _accuracy(
            singles,
            encoder,
            [f"something {TIME_PHRASES[name][0]}" for name in TIMES],
            [TIMES.index(s.time) for s in exam.singles],
        ),
        "precision_at_5": _precision(encoder, exam, workers),
    }
    return figures | _count_figures(encoder, exam.counted, workers) | _mixed_figures(encoder, exam.mixed, workers)


def confusions(encoder: EncoderLike, scenes: Sequence[Scene], *, workers: int = 1) -> list[tuple[str, str, int]]:
    """Which objects and colours are taken for which, the most frequent first: what to draw more distinctly."""
    seen = _seen(encoder, scenes, workers)
    pairs: dict[tuple[str, str], int] = {}
    for choices, prompts, right in (
        (OBJECTS, [with_article(name) for name in OBJECTS], [s.things[0].object for s in scenes]),
        (COLOURS, [f"{with_article(name)} thing" for name in COLOURS], [s.things[0].colour for s in scenes]),
    ):
        for truth, guess in zip(right, (seen @ _labels(encoder, prompts).T).argmax(1), strict=True):
            if truth != choices[guess]:
                pairs[truth, choices[guess]] = pairs.get((truth, choices[guess]), 0) + 1
    return sorted(((*pair, number) for pair, number in pairs.items()), key=lambda entry: -entry[2])


def draw_for_exam(scene: Scene) -> Any:
    """One picture of a scene, in a shape and size as the picture-book has them."""
    from clipsearch.demo.drawing import draw_scene

    return draw_scene(scene, *_SHAPES[scene.seed % len(_SHAPES)])


def _seen(encoder: EncoderLike, scenes: Sequence[Scene], workers: int) -> Vectors:
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            return _in_batches(encoder.encode_images, pool.map(draw_for_exam, scenes, chunksize=25))
    return _in_batches(encoder.encode_images, map(draw_for_exam, scenes))


def _in_batches(encode: Callable[[Sequence[Any]], Vectors], pictures: Any, size: int = 64) -> Vectors:
    rows, waiting = [], []
    for picture in pictures:
        waiting.append(picture)
        if len(waiting) == size:
            rows.append(encode(waiting))
            waiting = []
    if waiting:
        rows.append(encode(waiting))
    return np.concatenate(rows).astype(np.float32)


def _labels(encoder: EncoderLike, phrases: Sequence[str]) -> Vectors:
    """One unit vector for each phrase: the mean over a few openings, as a label with prompt templates has."""
    total = sum(encoder.encode_texts([prefix + phrase for phrase in phrases]) for prefix in _PREFIXES)
    vectors = np.asarray(total, np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _accuracy(seen: Vectors, encoder: EncoderLike, phrases: Sequence[str], right: Sequence[int]) -> float:
    return float(((seen @ _labels(encoder, phrases).T).argmax(1) == np.array(right)).mean())


def _count_figures(encoder: EncoderLike, scenes: Sequence[Scene], workers: int) -> dict[str, float]:
    """How often the number is right: told by "two things", and told by "two boats" where boats they are."""
    seen = _seen(encoder, scenes, workers)
    right = [len(scene.things) - 1 for scene in scenes]
    plainly = [f"{number} {'thing' if number == 'one' else 'things'}" for number in _NUMBERS]
    named = {
        name: _labels(encoder, [f"{number} {name if number == 'one' else plural(name)}" for number in _NUMBERS])
        for name in OBJECTS
    }
    guesses = [int((named[scene.things[0].object] @ row).argmax()) for scene, row in zip(scenes, seen, strict=True)]
    return {
        "count_accuracy": _accuracy(seen, encoder, plainly, right),
        "named_count_accuracy": float((np.array(guesses) == np.array(right)).mean()),
    }


def _precision(encoder: EncoderLike, exam: Exam, workers: int) -> float:
    shelf = _seen(encoder, exam.shelf, workers)
    texts = [f"{with_article(f'{colour} {name}')} {PLACE_PHRASES[place][0]}" for name, colour, place in exam.queries]
    ranked = np.argsort(-(encoder.encode_texts(texts) @ shelf.T), axis=1)[:, :PRECISION_DEPTH]
    right = [
        [query in exam.shelf[row].triples for row in rows] for query, rows in zip(exam.queries, ranked, strict=True)
    ]
    return float(np.mean(right))


def _mixed_figures(encoder: EncoderLike, scenes: Sequence[Scene], workers: int) -> dict[str, float]:
    scores = _seen(encoder, scenes, workers) @ _labels(encoder, [with_article(name) for name in OBJECTS]).T
    present = np.array([[any(thing.object == name for thing in scene.things) for name in OBJECTS] for scene in scenes])
    precisions = [
        _average_precision(scores[:, column], present[:, column])
        for column in range(len(OBJECTS))
        if present[:, column].any()
    ]
    return {
        "object_map": float(np.mean(precisions)),
        "mean_score_present": float(scores[present].mean()),
        "mean_score_absent": float(scores[~present].mean()),
    }


def _average_precision(scores: Vectors, right: npt.NDArray[np.bool_]) -> float:
    hits = right[np.argsort(-scores)]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
