// One result, large: the picture, all that is known of it, what its score is made of, and what can be done with it.

import { addressOf } from "./address.js";
import { button, fileName, find, make, tell } from "./elements.js";
import { exampleForm } from "./examples.js";
import { intoArguments, nameOf, term } from "./query.js";
import { api, ask, collection, thumbnail, whyNot } from "./server.js";

const roots = JSON.parse(document.body.dataset.roots || "[]");
let act = null; // what the page does for the viewer: {state, results, step, close, similar, mix}
let shown = null; // the id that is shown
let asking = new AbortController();

/** Make the dialog work. */
export function beginViewer(actions) {
  act = actions;
  const dialog = find("viewer");
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); act.close(); });
  dialog.addEventListener("click", (event) => event.target === dialog && act.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); act.step(step); }
  });
  find("viewer-close").addEventListener("click", () => act.close());
  find("viewer-before").addEventListener("click", () => act.step(-1));
  find("viewer-after").addEventListener("click", () => act.step(1));
}

/** Show the image with this id; `result` is its hit, if it is among the results. */
export async function openViewer(id, result) {
  const dialog = find("viewer");
  if (!dialog.open) dialog.showModal();
  if (shown === id && !result) return;
  shown = id;
  steps();
  fill(result ? result.image : { id, uri: `image ${id}` }, result);
  asking.abort();
  asking = new AbortController();
  try {
    const details = await ask(api(`/images/${id}`), { signal: asking.signal });
    if (shown === id) fill(details, act.results().find((one) => one.image.id === id) ?? result, true);
  } catch (error) {
    if (error.name === "AbortError" || shown !== id) return;
    if (error.status === 404) return missing(id);
    find("viewer-name").textContent = "This image cannot be shown";
    tell(error, () => { shown = null; openViewer(id, result); });
  }
}

/** It is not in the collection: nothing can be done with it. */
function missing(id) {
  find("viewer-name").textContent = "This image is not there";
  find("viewer-picture").replaceChildren(make("p", { className: "quiet", textContent: `The collection has no image ${id} (any more).` }));
  for (const place of ["viewer-numbers", "viewer-actions", "viewer-facts", "viewer-more"]) find(place).replaceChildren();
  find("viewer-actions").dataset.of = "";
}

/** Close it, if it is open; the page gives the focus back. */
export function closeViewer() {
  asking.abort();
  shown = null;
  const dialog = find("viewer");
  if (dialog.open) dialog.close();
  find("viewer-picture").replaceChildren();
}

/** Say whether there is a result before and after. */
export function steps() {
  const all = act.results();
  const at = all.findIndex((one) => one.image.id === shown);
  find("viewer-before").disabled = at <= 0;
  find("viewer-after").disabled = at < 0 || at === all.length - 1;
  find("viewer-place").textContent = at < 0 ? "" : `${at + 1}`;
}

function fill(image, result, whole = false) {
  const name = fileName(image.uri);
  find("viewer-name").textContent = name;
  if (result || whole) paint(image, name);
  else find("viewer-picture").replaceChildren();
  find("viewer-numbers").replaceChildren(...numbers(result));
  // Not made anew when the details come: the focus may be on one of them already.
  const place = find("viewer-actions");
  // And not before it is known that the image is there.
  if (place.dataset.of !== `${image.id} ${image.uri}`) place.replaceChildren(...(result || whole ? actions(image) : []));
  place.dataset.of = `${image.id} ${image.uri}`;
  find("viewer-facts").replaceChildren(...facts(image));
  if (!whole) return find("viewer-more").replaceChildren();
  return find("viewer-more").replaceChildren(...tags(image), exampleForm(image));
}

function paint(image, name) {
  const place = find("viewer-picture");
  const before = place.querySelector("img");
  if (before && before.dataset.id === String(image.id) && before.dataset.hash === (image.content_hash || "")) return;
  const large = make("img", { alt: name, dataset: { id: image.id, hash: image.content_hash || "" }, src: thumbnail(image, 960) });
  if (image.width && image.height) {
    // Its place is known before it has come, and the small one stands there until then.
    Object.assign(large, { width: image.width, height: image.height });
    large.style.backgroundImage = `url("${thumbnail(image)}")`;
  }
  large.addEventListener("error", async () => {
    const said = make("p", { className: "quiet" });
    if (!large.isConnected) return;
    large.replaceWith(said);
    said.textContent = whyUnseen(await whyNot(large.src));
  });
  place.replaceChildren(large);
}

function whyUnseen(error) {
  if (!error) return "The picture came, but this browser cannot show it.";
  if (error.code === "unreachable" || error.signIn || error.again) return `The picture did not come. ${error.message}`;
  if (error.code === "image_not_found") return "The collection does not hold this image any more.";
  return "There is no picture of it here: its file is gone, or only its embedding was imported.";
}

function numbers(result) {
  if (!result || result.score === null) return [];
  const found = [figure("Score", result.score.toFixed(3), "cosine similarity, −1 to 1")];
  if (result.relevance !== null) found.push(figure("Relevance", `${Math.round(100 * result.relevance)} %`, "how unusual the score is; a half is where the automatic cut falls"));
  if (result.duplicates.length) found.push(figure("Near-duplicates", `${result.duplicates.length}`, "shown as this one image"));
  if (result.terms && result.terms.length > 1) found.push(contributions(result.terms));
  return found;
}

const figure = (name, value, title) => make("div", { className: "figure", title },
  make("span", { className: "quiet", textContent: name }), make("strong", { textContent: value }));

function contributions(terms) {
  const state = act.state();
  const names = [...(state.text.trim() ? [state.text.trim()] : []), ...state.terms.map(nameOf)];
  const most = Math.max(...terms.map((one) => Math.abs(one.contribution)), 1e-9);
  const line = (one) => {
    const size = Math.abs(one.contribution);
    const against = one.contribution < 0;
    return make("li", {},
      make("span", { textContent: `${one.weight < 0 ? "less of " : ""}${names[one.place] ?? one.kind}` }),
      make("span", { className: against ? "share against" : "share", "aria-hidden": "true" },
        make("span", { style: { width: `${100 * size / most}%` } })),
      make("span", { className: "number", title: `its own score ${one.score.toFixed(3)}, by its share of the mix`,
        textContent: `${against ? "−" : "+"}${size.toFixed(3)}` }));
  };
  return make("div", { className: "contributions" }, make("h3", { textContent: "What it is made of" }),
    make("ul", {}, ...terms.map(line)));
}

function actions(image) {
  const found = [
    button("Find similar", () => act.similar(image.id), "main"),
    button("More of this", () => act.mix(term("image", image.id, 1))),
    button("Less of this", () => act.mix(term("image", image.id, -0.5))),
  ];
  if (roots.some((root) => image.uri.startsWith(root))) {
    found.push(make("a", { className: "button", href: api(`/images/${image.id}/original`), textContent: "Original file", download: "" }));
  }
  return found;
}

function facts(image) {
  const found = [
    // Where a file does not say when it was taken, its own date stands for that.
    [image.taken_at === image.modified_at ? "File date" : "Taken", image.taken_at && moment(image.taken_at)],
    ["Size", image.width && `${image.width} × ${image.height}${image.size ? `, ${bytes(image.size)}` : ""}`],
    ["Format", image.format],
    ["Indexed", image.indexed_at && moment(image.indexed_at)],
    ...Object.entries(image.attributes || {}).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]),
    ["Place", image.indexed_at && image.uri],
    ["Number", image.id],
  ];
  return found.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]);
}

function tags(image) {
  if (!image.tags || !image.tags.length) return [];
  const state = act.state();
  const empty = { ...state, text: "", terms: [], open: null, cut: "auto" };
  return [make("h3", { textContent: "Tags" }), make("ul", { className: "tags" }, ...image.tags.map((one) => {
    const tag = `${one.label_set}:${one.label}`;
    const numbers = one.source === "person" ? "given by a person" : one.probability === null ? "" : `${Math.round(100 * one.probability)} %`;
    return make("li", {}, make("a", { className: "button small", title: `All images with this tag${numbers ? `; this one: ${numbers}` : ""}`,
      href: addressOf(intoArguments({ ...empty, filters: { ...empty.filters, tags: [tag] } }, collection()), "/"),
    }, one.label, make("span", { className: "quiet", textContent: numbers })));
  }))];
}

const moment = (text) => new Date(text).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
const bytes = (number) => (number < 1e6 ? `${Math.max(1, Math.round(number / 1e3))} kB` : `${(number / 1e6).toFixed(1)} MB`);
