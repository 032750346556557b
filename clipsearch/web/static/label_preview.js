// What a draft makes of the visitor's own images, while it is typed: the best images of each label, and some images
// with their labels. One of them may be made an example.

import { bars, percent, verdict } from "./bars.js";
import { button, count, fileName, find, make, say, tell } from "./elements.js";
import { bodyOf, missing } from "./label_draft.js";
import { addStored } from "./label_examples.js";
import { awaited } from "./label_fields.js";
import { api, ask, thumbnail } from "./server.js";

const PAUSE = 350;
const SHOWN = 24;

/** Starts with the first update: {element, update, stop}. */
export function startPreview(draft, { cards, changed, readOnly }) {
  const status = make("p", { className: "hint", role: "status", "aria-live": "polite" });
  const grid = make("ul", { className: "preview-grid", "aria-label": "Images with their labels" }, ...(missing(draft) ? [] : awaited(SHOWN)));
  const element = make("section", { className: "card stack tight" }, make("h2", { textContent: "On your images" }), status, grid);
  const tiles = new Map();
  let timer = null, running = null, last = "", images = new Map();

  const update = () => {
    clearTimeout(timer);
    const why = missing(draft);
    const body = JSON.stringify(bodyOf(draft));
    if (why && !last) say("Give labels, and see here what they find.", { place: status });
    if (why || body === last) return;
    timer = setTimeout(() => look(body), last ? PAUSE : 0);
  };

  async function look(body) {
    if (running) running.abort();
    const mine = (running = new AbortController());
    last = body;
    grid.classList.add("waiting");
    try {
      show(await ask(api("/preview"), { json: { ...JSON.parse(body), shown: SHOWN }, signal: mine.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      last = "";
      for (const place of document.querySelectorAll("#editor .awaited")) place.remove();
      say(error.code === "collection_not_found" ? "There are no images yet. Index a folder under Folders, and see here what the labels make of it." : error.message, { error: error.code !== "collection_not_found", place: status });
    } finally {
      if (running === mine) grid.classList.remove("waiting");
    }
  }

  function show(answer) {
    images = new Map(answer.pictures.map((one) => [one.id, one]));
    const labelled = answer.images - answer.rejected;
    say(answer.images ? `${labelled} of ${count(answer.images, "image")} looked at get a label.` : "The collection holds no images yet.", { place: status });
    const named = draft.labels.filter((one) => one.name.trim());
    for (const told of answer.labels) {
      const strip = told.position >= 0 && named[told.position] ? cards.strips.get(named[told.position].key) : null;
      if (!strip) continue;
      strip.told.textContent = count(told.images, "image");
      fill(strip.strip, told.best.filter((one) => images.has(one.image_id)).map((one) => ({ id: one.image_id, key: `${told.position} ${one.image_id}`, accepted: one.accepted, text: percent(one.probability) })), answer);
      strip.strip.setAttribute("aria-label", `Best images of ${told.label}`);
    }
    fill(grid, answer.results.filter((one) => images.has(one.image_id)).map((one) => ({ id: one.image_id, key: `all ${one.image_id}`, accepted: one.labels.length > 0,
      text: one.labels.join(", ") || "none of them" })), answer);
  }

  /** Fill a list with tiles; those that were there are used again, so that nothing blinks. */
  function fill(list, wanted, answer) {
    list.replaceChildren(...wanted.map(({ id, key, accepted, text }) => {
      if (!tiles.has(key)) tiles.set(key, tile(images.get(id)));
      const one = tiles.get(key);
      one.item.classList.toggle("accepted", accepted);
      one.text.textContent = text;
      one.open.setAttribute("aria-label", `${fileName(images.get(id).uri)}: ${text}`);
      one.open.onclick = () => openImage(images.get(id), answer.results.find((result) => result.image_id === id));
      return one.item;
    }));
  }

  function openImage(image, result) {
    const dialog = find("dialog");
    const named = draft.labels.filter((one) => one.name.trim());
    const select = make("select", { id: "example-of" }, ...named.map((one) => make("option", { value: String(one.key), textContent: one.name, selected: Boolean(result && result.label === one.name) })));
    const add = button("Use as an example", async () => {
      const label = named.find((one) => String(one.key) === select.value);
      try {
        await addStored(label, image);
        dialog.close();
        changed();
      } catch (error) {
        tell(error);
      }
    }, "main");
    dialog.replaceChildren(make("div", { className: "dialog-body stack" }, make("h2", { id: "dialog-title", className: "one-line", textContent: fileName(image.uri) }),
      make("img", { className: "large", src: thumbnail(image, 960), alt: fileName(image.uri) }),
      result ? make("div", { className: "stack tight" }, verdict(result), bars(result.predictions)) : null,
      make("div", { className: "row" }, ...(readOnly ? [] : [make("div", { className: "field" }, make("label", { htmlFor: "example-of", textContent: "It shows" }), select), add]), button("Close", () => dialog.close()))));
    dialog.showModal();
  }

  return { element, update, stop: () => { clearTimeout(timer); if (running) running.abort(); } };
}

function tile(image) {
  const text = make("span", { className: "tile-text one-line number" });
  const open = make("button", { type: "button", className: "tile-open" }, make("img", { src: thumbnail(image), alt: "", loading: "lazy", width: 96, height: 96 }), text);
  return { item: make("li", {}, open), open, text };
}
