"""Routes of indexing jobs: start, list, watch, cancel."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import url_for

from clipsearch.answers import RunInfo
from clipsearch.browsing import cancel_run, list_runs
from clipsearch.indexing import IndexingOptions
from clipsearch.web.context import context
from clipsearch.web.messages import JobBody
from clipsearch.web.replies import JobList

routes = APIBlueprint("jobs", __name__, tag="Jobs", url_prefix="/api/v1")


@routes.post("/collections/<name:name>/jobs")
@routes.input(JobBody, location="json")
@routes.output(RunInfo, status_code=202)
def start_job(name: str, json_data: JobBody) -> tuple[RunInfo, int, dict[str, str]]:
    """Index a folder or a file under CLIPSEARCH_ROOTS; the collection is made if it is not there."""
    options = IndexingOptions(retry_failed=json_data.retry_failed, allow_empty=json_data.allow_empty)
    run = context().jobs.submit(name, json_data.source, options)
    return run, 202, {"Location": url_for("jobs.job", job_id=run.id)}


@routes.get("/jobs")
@routes.output(JobList)
def jobs() -> JobList:
    """The newest hundred indexing runs, those of the command line among them."""
    return JobList(jobs=list_runs(context().library))


@routes.get("/jobs/<id:job_id>")
@routes.output(RunInfo)
def job(job_id: int) -> RunInfo:
    """How far a job has come, or how it ended."""
    return context().jobs.show(job_id)


@routes.post("/jobs/<id:job_id>/cancel")
@routes.output(RunInfo)
def cancel_job(job_id: int) -> RunInfo:
    """Ask a job to stop after its batch; what it committed stays."""
    return cancel_run(context().library, job_id)
