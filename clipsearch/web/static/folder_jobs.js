// Runs of the collection: how far they are as the server tells it, how they ended, and a button that stops them.

import { button, count, find, make, tell } from "./elements.js";
import { keepFor } from "./scopes.js";
import { ask, collection } from "./server.js";

const SHOWN = 12;
const PAUSE = 700;
const PATIENCE = 8; // times that a server may not answer before asking it ends
const ACTIVE = new Set(["queued", "running"]);
const WORDS = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "stopped", interrupted: "interrupted" };

/** Show the runs and follow those at work: {watch, busy, sources}; `ended` is called with one that ended. */
export function startJobs({ ended }) {
  const rows = new Map(); // by id: {element, update, run}
  const followed = new Set();

  function show(run) {
    if (!rows.has(run.id)) rows.set(run.id, row(run));
    rows.get(run.id).update(run);
    const newest = [...rows.values()].sort((one, other) => other.run.id - one.run.id).slice(0, SHOWN);
    const elements = newest.map((one) => one.element);
    if (elements.some((one, place) => find("jobs").children[place] !== one)) find("jobs").replaceChildren(...elements);
  }
  function watch(run) {
    show(run);
    if (ACTIVE.has(run.state) && !followed.has(run.id)) {
      followed.add(run.id);
      listen(run.id, show).then(() => { followed.delete(run.id); ended(rows.get(run.id).run); });
    }
  }
  async function load() {
    try {
      const { jobs } = await ask(`/api/v1/jobs?collection=${encodeURIComponent(collection())}&limit=${SHOWN}`);
      jobs.reverse().forEach(watch);
    } catch (error) {
      tell(error, load);
    }
  }
  load();
  const isFolder = ({ source, kind }) => kind !== "embed" && /^(file:|\/|[A-Za-z]:)/.test(source);
  return { watch, busy: () => followed.size > 0, sources: () => [...new Set([...rows.values()].map((one) => one.run).filter(isFolder).map((one) => pathOf(one.source)))] };
}

/** Tell of a run until it ends: by server-sent events, and by asking again where those do not come. */
function listen(id, show) {
  return new Promise((resolve) => {
    if (!("EventSource" in window)) return void poll(id, show, resolve);
    const events = new EventSource(`/api/v1/jobs/${id}/events`);
    let over = false;
    const end = () => { over = true; events.close(); poll(id, show, resolve); };
    events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
    events.addEventListener("end", end);
    events.onerror = () => !over && end();
  });
}

/** Ask until the run has ended; where the server refuses, or says nothing for long, say so and stop. */
async function poll(id, show, resolve, missed = 0) {
  try {
    const run = await ask(`/api/v1/jobs/${id}`);
    show(run);
    if (!ACTIVE.has(run.state)) return resolve();
    missed = 0;
  } catch (error) {
    missed += 1;
    const refused = error.status >= 400 && error.status < 500 && error.status !== 429;
    if (refused || missed === PATIENCE) {
      if (error.status !== 404) tell(error, () => poll(id, show, () => {}));
      return resolve();
    }
  }
  return setTimeout(() => poll(id, show, resolve, missed), PAUSE * (1 + missed));
}

function row(first) {
  const badge = make("span", { className: "badge" });
  const progress = make("progress", { "aria-label": "Progress" });
  const text = make("span", { className: "hint number" });
  const error = make("p", { className: "error", hidden: true });
  const stop = button("Stop", async () => {
    stop.disabled = true;
    try {
      await ask(`/api/v1/jobs/${first.id}/cancel`, { method: "POST" });
    } catch (problem) {
      stop.disabled = false;
      tell(problem);
    }
  }, "small");
  keepFor("write", stop);
  const title = first.kind === "embed" ? `Embedding by ${first.model || "a further model"}` : pathOf(first.source);
  stop.setAttribute("aria-label", `Stop ${title}`);
  const element = make("li", { className: "job" }, badge, make("span", { className: "one-line source", textContent: title, title }), text, stop, progress, error);
  const self = { element, run: first, update(run) {
    self.run = run;
    const active = ACTIVE.has(run.state);
    element.dataset.state = run.state;
    badge.textContent = WORDS[run.state] || run.state;
    stop.hidden = progress.hidden = !active;
    if (run.total) Object.assign(progress, { max: run.total, value: run.done });
    else progress.removeAttribute("value");
    text.textContent = active ? going(run) : outcome(run);
    error.hidden = !run.error;
    error.textContent = run.error || "";
  } };
  return self;
}

/** How a run ended, in a sentence. */
export const ending = (run) => `${pathOf(run.source)}: ${WORDS[run.state] || run.state}${run.error ? `. ${run.error}` : counted(run) && `, ${counted(run)}.`}`;

const counted = (run) => Object.entries(run.counts).filter(([, number]) => number).map(([name, number]) => `${number.toLocaleString("en")} ${name}`).join(", ");

const going = (run) => (run.total ? `${run.done.toLocaleString("en")} of ${run.total.toLocaleString("en")}` : run.state === "queued" ? "waits for the one before" : "looking for images");

function outcome(run) {
  const when = new Date(run.finished_at || run.created_at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return [counted(run) || count(run.done, "file"), when].join(" · ");
}

function pathOf(source) {
  if (!source.startsWith("file:")) return source;
  try {
    return decodeURIComponent(new URL(source).pathname);
  } catch {
    return source;
  }
}
