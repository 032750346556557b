// The view of collections and what fills them: indexing, uploads, failures, statistics, models.

import { addressOf } from "./address.js";
import { CANCEL, dialog, field } from "./dialog.js";
import { find, make, say, tell } from "./elements.js";
import { showFailures } from "./folder_failures.js";
import { ending, startJobs } from "./folder_jobs.js";
import { startModels } from "./folder_models.js";
import { showStatistics } from "./folder_statistics.js";
import { startUploads } from "./folder_uploads.js";
import { refuseStrays } from "./intake.js";
import { keepFor, may } from "./scopes.js";
import { api, ask, collection } from "./server.js";

let models = null;
const asked = new Set(); // runs that were started here and have not ended

export function begin() {
  const jobs = startJobs({ ended });
  if (may("write")) startUploads({ added: refresh });
  else refuseStrays();
  keepFor("write", find("index"), find("upload").closest("section"), find("retry"), find("add-model"));
  models = startModels(jobs);
  const form = find("index");
  if (form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      index(jobs, find("source").value.trim(), find("retry-failed").checked);
    });
    form.addEventListener("click", (event) => {
      const { root } = event.target.dataset;
      if (root) Object.assign(find("source"), { value: root }).focus();
    });
  }
  find("retry").addEventListener("click", () => retry(jobs));
  for (const [id, run] of [["create", create], ["rename", rename], ["delete", remove]]) if (find(id)) find(id).addEventListener("click", run);
  document.body.dataset.ready = "yes";
  refresh();
}

async function index(jobs, source, retryFailed) {
  if (!source) return say("Say which folder.", { error: true });
  say("");
  try {
    const run = await ask(api("/jobs"), { json: { source, retry_failed: retryFailed } });
    asked.add(run.id);
    say("It is running; you can leave this page.");
    return jobs.watch(run);
  } catch (error) {
    if (error.signIn) tell(error);
    return say(error.message, { error: true });
  }
}

/** What was said of a run that began here holds no more once it has ended. */
function ended(run) {
  if (asked.delete(run.id) && !asked.size) say(ending(run), { error: run.state === "failed" });
  refresh();
}

/** Index again every folder that was indexed before, with what failed in it. */
async function retry(jobs) {
  const sources = jobs.sources();
  if (!sources.length) return say("No folder of this collection is known any more: index it again above.", { error: true });
  for (const source of sources) await index(jobs, source, true);
  return undefined;
}

/** Show anew what a run or an upload may have changed. */
async function refresh() {
  try {
    const info = await ask(api());
    const option = find("collection").selectedOptions[0];
    option.textContent = `${info.name} (${info.images})`;
    delete option.dataset.missing;
    find("summary").replaceChildren(`${info.images.toLocaleString("en")} image${info.images === 1 ? "" : "s"}, ${info.failures.toLocaleString("en")} that could not be read · model `, make("code", { textContent: info.model }));
  } catch (error) {
    if (error.status !== 404) tell(error, refresh);
    return; // no collection yet: there is nothing to show of it
  }
  showFailures();
  await showStatistics();
  models.show(); // below the statistics, which would push it down
}

const visit = (name) => location.assign(addressOf({ collection: name }, "/folders"));

function create() {
  const name = field("new-name", "Name");
  dialog("New collection", [make("p", { className: "quiet", textContent: "A collection is a set of images with one model, searched on its own." }), name.element],
    ["Make it", () => ask("/api/v1/collections", { json: { name: name.value() } }).then((made) => visit(made.name)), "main"], CANCEL);
}

function rename() {
  const name = field("new-name", "New name", collection());
  dialog(`Rename ${collection()}`, [name.element], ["Rename", () => ask(api(), { method: "PATCH", json: { name: name.value() } }).then((made) => visit(made.name)), "main"], CANCEL);
}

function remove() {
  const old = collection();
  const name = field("typed-name", `Type ${old} to delete it`);
  dialog(`Delete ${old}?`, [make("p", { textContent: "Its images leave the library, with their tags and reviews. The files in your folders stay; copies of uploads do not. This cannot be undone." }), name.element],
    ["Delete it", async () => {
      if (name.value() !== old) throw new Error(`That is not ${old}.`);
      await ask(api(), { method: "DELETE" });
      location.assign("/folders");
    }, "danger"], CANCEL);
}
