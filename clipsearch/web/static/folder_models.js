// The models of a collection beside each other: the one that answers, those that are ready, and those being embedded.

import { CANCEL, dialog } from "./dialog.js";
import { button, find, make, tell, toast } from "./elements.js";
import { keepFor } from "./scopes.js";
import { api, ask, collection } from "./server.js";

const STATES = { active: "in use", ready: "ready", embedding: "being embedded", incomplete: "incomplete" };

/** Show the models of the collection, and take in what is done to them. */
export function startModels(jobs) {
  find("add-model").addEventListener("submit", (event) => {
    event.preventDefault();
    const model = find("model").value.trim();
    if (model) act(() => ask(api("/models"), { json: { model } }).then((run) => jobs.watch(run)));
  });
  return { show };

  async function show() {
    try {
      const told = await ask(api("/models"));
      find("models-panel").hidden = false;
      find("models").replaceChildren(...told.models.map(row));
      const known = await ask("/api/v1/models").catch(() => null);
      if (known) find("known-models").replaceChildren(...(known.models || []).map((one) => make("option", { value: one.name })));
    } catch (error) {
      tell(error, show);
    }
  }
  async function act(run) {
    try {
      await run();
      find("model").value = "";
    } catch (error) {
      tell(error);
    }
    show();
  }
  function row(one) {
    const active = one.active;
    const ways = active ? [] : [button("Switch to it", () => askToSwitch(one), "small"), button("Remove", () => askToRemove(one), "small danger")];
    if (!active && one.state !== "ready") ways[0].disabled = true;
    keepFor("admin", ...ways);
    return make("li", { className: "job" }, make("span", { className: "badge", textContent: STATES[one.state] || one.state }), make("span", { className: "one-line source", textContent: one.name, title: one.name }),
      make("span", { className: "hint number", textContent: `${one.embedded.toLocaleString("en")} of ${one.images.toLocaleString("en")} images` }), ...ways);
  }
  function askToSwitch(one) {
    dialog(`Switch to ${one.name}?`, [make("p", { textContent: `Searches of ${collection()} use it from then on. The one in use now stays, to switch back to. Tags have to be applied again.` })],
      ["Switch", async () => {
        await ask(api("/model"), { method: "PUT", json: { model: one.name } });
        toast("Switched.");
        show();
      }, "main"], CANCEL);
  }
  function askToRemove(one) {
    dialog(`Remove ${one.name}?`, [make("p", { textContent: "Its embeddings of this collection are deleted; they can be made again." })],
      ["Remove", async () => { await ask(`${api("/models")}?model=${encodeURIComponent(one.name)}`, { method: "DELETE" }); show(); }, "danger"], CANCEL);
  }
}
