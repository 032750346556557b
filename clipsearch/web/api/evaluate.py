"""Routes of evaluations: on reviewed tags, and of the vector index. Pictures on a disk are for the command line."""

from __future__ import annotations

from apiflask import APIBlueprint

from clipsearch.answers import EvaluationAnswer, IndexRecallAnswer
from clipsearch.errors import InvalidInput
from clipsearch.evaluating import EvaluationOptions, Side, index_recall, read_reviews
from clipsearch.evaluating import evaluate as evaluate_material
from clipsearch.web.context import context
from clipsearch.web.evaluation_messages import EvaluationBody, IndexRecallArgs
from clipsearch.web.known_models import check_model
from clipsearch.web.scopes import needs
from clipsearch.web.slots import takes_slot_for

routes = APIBlueprint("evaluate", __name__, tag="Evaluation", url_prefix="/api/v1/collections/<name:name>")


@routes.post("/evaluate")
@routes.input(EvaluationBody, location="json")
@routes.output(EvaluationAnswer)
@needs("write")  # it may write thresholds
@takes_slot_for("pictures")
def evaluate(name: str, json_data: EvaluationBody) -> EvaluationAnswer:
    """Measure a label set on the tags of a collection that were reviewed under it, or two models beside each other."""
    held = context()
    sides = [Side(label_set=json_data.label_set)]
    if json_data.against_label_set is not None and json_data.against_model is not None:
        raise InvalidInput("compare models or label sets, one at a time: what differs is then known")
    if json_data.against_label_set is not None:
        sides.append(Side(label_set=json_data.against_label_set))
    if json_data.against_model is not None:
        check_model(held.library, json_data.against_model)
        sides.append(Side(label_set=json_data.label_set, model=json_data.against_model))
    options = EvaluationOptions(
        resamples=json_data.resamples, tune=json_data.thresholds, write_thresholds=json_data.write_thresholds
    )
    with held.slots.taken():
        material = read_reviews(held.library, json_data.label_set, collection=name)
        return evaluate_material(held.library, material, sides, collection=name, options=options)


@routes.get("/index-recall")
@routes.input(IndexRecallArgs, location="query")
@routes.output(IndexRecallAnswer)
@takes_slot_for("pictures")
def measure_index(name: str, query_data: IndexRecallArgs) -> IndexRecallAnswer:
    """The recall of the vector index against exact search, for images and for texts apart."""
    held = context()
    with held.slots.taken():
        return index_recall(held.library, collection=name, queries=query_data.queries)
