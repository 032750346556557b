// The view of collections and what fills them: indexing, uploads, failures, statistics, models.

import { addressOf } from "./address.js";
import { dialog, field } from "./dialog.js";
import { find, make, say, tell } from "./elements.js";
import { showFailures } from "./folder_failures.js";
import { startJobs } from "./folder_jobs.js";
import { startModels } from "./folder_models.js";
import { showStatistics } from "./folder_statistics.js";
import { startUploads } from "./folder_uploads.js";
import { api, ask, collection } from "./server.js";

let models = null;

export function begin() {
  for (const element of document.querySelectorAll(".with-script")) element.hidden = false;
  find("statistics-panel").hidden = find("models-panel").hidden = true;
  const jobs = startJobs({ ended: refresh });
  startUploads({ added: refresh });
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
  find("create").addEventListener("click", create);
  if (find("rename")) find("rename").addEventListener("click", rename);
  if (find("delete")) find("delete").addEventListener("click", remove);
  refresh();
}

async function index(jobs, source, retryFailed) {
  if (!source) return say("Say which folder.", { error: true });
  say("");
  try {
    jobs.watch(await ask(api("/jobs"), { json: { source, retry_failed: retryFailed } }));
    return say("It is running; you can leave this page.");
  } catch (error) {
    if (error.signIn) tell(error);
    return say(error.message, { error: true });
  }
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
  showStatistics();
  models.show();
}

const visit = (name) => location.assign(addressOf({ collection: name }, "/folders"));

function create() {
  const name = field("new-name", "Name");
  dialog("New collection", [make("p", { className: "quiet", textContent: "A collection is a set of images with one model, searched on its own." }), name.element],
    ["Make it", () => ask("/api/v1/collections", { json: { name: name.value() } }).then((made) => visit(made.name)), "main"]);
}

function rename() {
  const name = field("new-name", "New name", collection());
  dialog(`Rename ${collection()}`, [name.element], ["Rename", () => ask(api(), { method: "PATCH", json: { name: name.value() } }).then((made) => visit(made.name)), "main"]);
}

function remove() {
  const old = collection();
  const name = field("typed-name", `Type ${old} to delete it`);
  dialog(`Delete ${old}?`, [make("p", { textContent: "Its images leave the library, with their tags and reviews. The files in your folders stay; copies of uploads do not. This cannot be undone." }), name.element],
    ["Delete it", async () => {
      if (name.value() !== old) throw new Error(`That is not ${old}.`);
      await ask(api(), { method: "DELETE" });
      location.assign("/folders");
    }, "danger"]);
}
