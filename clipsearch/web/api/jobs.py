"""Routes of jobs: start an indexing, list, watch, cancel, and what failed."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, request, url_for

from clipsearch.answers import RunInfo
from clipsearch.following import cancel_run, list_runs, run_failures_page
from clipsearch.indexing import IndexingOptions
from clipsearch.web.context import context
from clipsearch.web.document import an_event_stream
from clipsearch.web.job_events import events
from clipsearch.web.messages import JobBody
from clipsearch.web.model_messages import JobArgs, JobFailures, JobFailuresArgs
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
@routes.input(JobArgs, location="query")
@routes.output(JobList)
def jobs(query_data: JobArgs) -> JobList:
    """The newest jobs, those of the command line among them."""
    asked = query_data
    found = list_runs(
        context().library, limit=asked.limit, collection=asked.collection, states=asked.state, kind=asked.kind
    )
    return JobList(jobs=found)


@routes.get("/jobs/<id:job_id>")
@routes.output(RunInfo)
def job(job_id: int) -> RunInfo:
    """How far a job has come, or how it ended."""
    return context().jobs.show(job_id)


@routes.get("/jobs/<id:job_id>/events")
@routes.doc(responses=an_event_stream("progress with a RunInfo, at most four a second, and end with the last one"))
def job_events(job_id: int) -> Response:
    """How far a job has come, as it comes: server-sent events until it is over.

    Each event's data is the job as GET /jobs/{job_id} gives it. A stream that ends without the event end, as when
    the server stops, is to be opened again; Last-Event-ID is not needed. Up to 16 may listen at once.
    """
    held = context()
    run = held.jobs.show(job_id)
    # A proxy that gathers answers would hold the events back.
    response = Response(mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    if request.method != "HEAD":
        response.call_on_close(held.streams.take())
        response.response = events(run, lambda: held.jobs.show(job_id), lambda: held.watch.draining)
    return response


@routes.get("/jobs/<id:job_id>/failures")
@routes.input(JobFailuresArgs, location="query")
@routes.output(JobFailures)
def job_failures(job_id: int, query_data: JobFailuresArgs) -> JobFailures:
    """What a job could not index, unless a later one has tried it again; or not embed, the first thousand."""
    found, total = run_failures_page(context().library, job_id, offset=query_data.offset, limit=query_data.limit)
    return JobFailures(failures=found, total=total)


@routes.post("/jobs/<id:job_id>/cancel")
@routes.output(RunInfo)
def cancel_job(job_id: int) -> RunInfo:
    """Ask a job to stop after its batch; what it committed stays."""
    return cancel_run(context().library, job_id)
