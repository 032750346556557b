// Applies a saved label set to the collection as tags, and says how many images bear each label.

import { addressOf } from "./address.js";
import { button, count, make, say, tell } from "./elements.js";
import { keepFor } from "./scopes.js";
import { api, ask, collection } from "./server.js";

const SHOWN = 12;

/** The panel beside the editor of a saved set. */
export function applyPanel(state) {
  const status = make("p", { className: "hint", role: "status", "aria-live": "polite" });
  const counts = make("div", {});
  const run = button("Apply as tags", apply);
  keepFor("write", run);
  const element = make("section", { className: "card stack tight", "aria-label": "Tags" }, make("h2", { textContent: "Tags" }),
    make("p", { className: "hint", textContent: `Label every image of ${collection()} with the saved version of this set, so that searches can be narrowed by label.` }), make("p", { className: "row" }, run), status, counts);

  async function apply() {
    run.disabled = true;
    say("Tagging…", { place: status });
    try {
      const report = await ask(api("/tags"), { json: { label_set: state.name } });
      say(`${count(report.tagged, "image")} tagged, ${report.unchanged.toLocaleString("en")} had their tags.`, { place: status });
      await show();
    } catch (error) {
      say("", { place: status });
      tell(error, apply);
    } finally {
      run.disabled = false;
    }
  }
  async function show() {
    const { taggings } = await ask(api("/tags"));
    const tagging = taggings.find((one) => one.label_set === state.name);
    if (!tagging) return;
    run.textContent = "Bring the tags up to date";
    if (tagging.stale) return say(`The tags have to be made anew: ${tagging.why_stale || "the set gives other scores now"}.`, { place: status });
    const told = await ask(api(`/tags/${encodeURIComponent(state.name)}`));
    const most = Math.max(1, ...told.labels.map((one) => one.images));
    const found = [...told.labels].sort((one, other) => other.images - one.images);
    counts.replaceChildren(make("ul", { className: "counts" }, ...found.slice(0, SHOWN).map((one) => make("li", {},
      make("a", { className: "one-line", textContent: one.label, href: addressOf({ collection: collection(), tag: `${state.name}:${one.label}` }, "/") }),
      make("progress", { max: most, value: one.images, "aria-label": one.label }), make("span", { className: "number", textContent: one.images.toLocaleString("en") })))),
    make("p", { className: "hint", textContent: [found.length > SHOWN ? `${found.length - SHOWN} labels more.` : "", `${count(told.rejected, "image")} got none.`].join(" ") }),
    make("p", {}, make("a", { className: "button", href: addressOf({ collection: collection(), set: state.name }, "/review"), textContent: "Review them" })));
  }
  show().catch(() => {}); // there is no collection yet: nothing is applied
  return element;
}
