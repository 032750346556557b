"""Ranked labels to what is answered; knows names and reasons, and no arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clipsearch.answers import CategoryShare, Classification, ClassifyAnswer, FailedFile, Prediction
from clipsearch.database.label_sets import LabelSetRow
from clipsearch.label_set import BACKGROUND
from clipsearch.scoring import Ranked, categories_of, decide, decide_categories


def told(
    label_set: LabelSetRow, ranked: Ranked, uris: Sequence[str], ids: Sequence[int | None] | None = None
) -> Iterator[Classification]:
    """What the ranked labels say of images of these uris and ids, in their order."""
    decision = decide(label_set, ranked)
    numbers = ids if ids is not None else [None] * len(uris)
    names = categories_of(label_set)
    chosen = _chosen_categories(label_set, ranked, names)
    for place, (uri, number) in enumerate(zip(uris, numbers, strict=True)):
        found = _predictions(label_set, ranked, place, decision.accepted[place].tolist())
        labels = [one.label for one in found if one.accepted and one.label is not None]
        categories = _categories(label_set, ranked, place, names)
        yield Classification(
            uri=uri,
            image_id=number,
            label=labels[0] if labels else None,
            labels=labels,
            category=chosen[place] if chosen else categories[0].category if categories and labels else None,
            categories=categories,
            rejected=decision.rejected[place],
            predictions=found,
        )


def _chosen_categories(label_set: LabelSetRow, ranked: Ranked, names: Sequence[str]) -> list[str | None]:
    """The category of each image where labels exclude each other; [] in the other modes, and without categories."""
    if label_set.mode != "single" or not names:
        return []
    decision = decide_categories(label_set, ranked)
    return [
        None if reason else names[place]
        for place, reason in zip(decision.places.tolist(), decision.rejected, strict=True)
    ]


def _predictions(label_set: LabelSetRow, ranked: Ranked, place: int, accepted: Sequence[bool]) -> list[Prediction]:
    columns = (ranked.positions, ranked.scores, ranked.logits, ranked.probabilities, ranked.margins)
    found = []
    for values in zip(*(column[place].tolist() for column in columns), accepted, strict=True):
        position, score, logit, probability, margin, passes = values
        label = None if position == BACKGROUND else label_set.labels[position]
        found.append(
            Prediction(
                label=label.name if label else None,
                position=position,
                score=score,
                logit=logit,
                probability=probability,
                margin=margin,
                accepted=passes,
                category=label.category if label else None,
            )
        )
    return found


def _categories(label_set: LabelSetRow, ranked: Ranked, place: int, names: Sequence[str]) -> list[CategoryShare]:
    if ranked.categories is None or ranked.category_labels is None:
        return []
    shares = zip(names, ranked.categories[place].tolist(), ranked.category_labels[place].tolist(), strict=True)
    told = [
        CategoryShare(category=name, probability=min(probability, 1.0), label=label_set.labels[label].name)
        for name, probability, label in shares
    ]
    return sorted(told, key=lambda one: -one.probability)


def answer_of(
    label_set: LabelSetRow,
    model: str,
    results: list[Classification],
    failed: list[FailedFile],
    warnings: list[str],
) -> ClassifyAnswer:
    """The answer, with what made it."""
    return ClassifyAnswer(
        model=model,
        mode=label_set.mode,
        aggregate=label_set.aggregate,
        label_set=label_set.name or None,
        label_set_version=label_set.version or None,
        templates=list(label_set.templates),
        warnings=warnings,
        results=results,
        failed=failed,
    )
