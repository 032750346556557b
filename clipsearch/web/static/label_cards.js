// A card for each label of a draft: its words, its rules, its examples, and the images that it fits best.

import { button, count, make } from "./elements.js";
import { exampleStrip } from "./label_examples.js";
import { awaited, numberField } from "./label_fields.js";

const DRAWN = 40;
const BEST = 8;

/** The cards of a draft: {element, draw, strips}; `strips` has a place for the best images of each label, by name. */
export function labelCards(draft, { changed, readOnly }) {
  const list = make("ol", { className: "labels", "aria-label": "Labels" });
  const filter = make("input", { type: "search", id: "filter-labels", placeholder: "Find a label", "aria-label": "Find a label" });
  const more = button("Show more labels", () => { drawn += DRAWN; draw(); }, "small");
  const strips = new Map();
  const cards = new Map();
  const atFirst = new Set(draft.labels);
  let drawn = DRAWN;

  const wanted = () => {
    const text = filter.value.trim().toLowerCase();
    return text ? draft.labels.filter((one) => `${one.name} ${one.prompts.join(" ")}`.toLowerCase().includes(text)) : draft.labels;
  };
  function draw() {
    const found = wanted();
    list.replaceChildren(...found.slice(0, drawn).map((one) => {
      if (!cards.has(one.key)) cards.set(one.key, card(one));
      return cards.get(one.key).element;
    }));
    filter.hidden = draft.labels.length <= 8;
    more.hidden = found.length <= drawn;
    more.textContent = `Show more of ${count(found.length, "label")}`;
  }
  function take(one) {
    const place = draft.labels.indexOf(one);
    draft.labels.splice(place, 1);
    cards.delete(one.key);
    draw();
    changed();
    const next = list.querySelectorAll("input.label-name")[Math.min(place, list.children.length - 1)];
    if (next) next.focus();
  }
  function move(one, by) {
    const place = draft.labels.indexOf(one);
    if (!draft.labels[place + by]) return;
    draft.labels.splice(place, 1);
    draft.labels.splice(place + by, 0, one);
    draw();
    changed();
    cards.get(one.key).element.querySelector(by < 0 ? ".up" : ".down").focus();
  }

  function card(one) {
    const id = `label-${one.key}`;
    const strip = make("ul", { className: "thumbs best" }, ...(atFirst.has(one) ? awaited(BEST) : []));
    const told = make("span", { className: "hint number" });
    strips.set(one.key, { strip, told });
    const name = make("input", { id, className: "label-name", value: one.name, disabled: readOnly, autocomplete: "off", maxLength: 200,
      oninput: () => { one.name = name.value; rename(); changed(); } });
    const words = many(`${id}-prompts`, "Words that stand for it, one a line", one, "prompts", "its name, if nothing stands here");
    const examples = exampleStrip(one, { changed, readOnly });
    const buttons = readOnly ? [] : [button("↑", () => move(one, -1), "plain small up"), button("↓", () => move(one, 1), "plain small down"), button("×", () => take(one), "plain small")];
    const rename = () => ["Move up", "Move down", "Remove"].forEach((verb, place) => buttons[place] && buttons[place].setAttribute("aria-label", `${verb} ${one.name || "the label"}`));
    rename();
    const open = one.negatives.length || one.category || one.words_weight !== null || one.min_probability !== null || one.min_score !== null;
    const details = make("details", { open: Boolean(open) }, make("summary", { textContent: "More" }), make("div", { className: "stack tight" },
      many(`${id}-negatives`, "Not this, one a line (mode binary)", one, "negatives", "an empty street"),
      make("div", { className: "numbers" }, text(`${id}-category`, "Category", one, "category"),
        numberField(`${id}-weight`, "Share of the words", one, "words_weight", 0, changed, readOnly),
        numberField(`${id}-probability`, "Least probability", one, "min_probability", 0, changed, readOnly),
        numberField(`${id}-score`, "Least score", one, "min_score", -1, changed, readOnly))));
    const element = make("li", { className: "card label-card" },
      make("div", { className: "label-head" }, make("div", { className: "field" }, make("label", { htmlFor: id, textContent: "Label" }), name), told, make("span", { className: "row tools" }, ...buttons)),
      words, examples.element, strip, details);
    examples.takeFrom(element);
    return { element };
  }

  function many(id, title, one, key, placeholder) {
    const area = make("textarea", { id, rows: Math.max(1, Math.min(6, one[key].length)), value: one[key].join("\n"), placeholder, disabled: readOnly, spellcheck: false,
      oninput: () => { one[key] = area.value.split("\n"); area.rows = Math.max(1, Math.min(6, one[key].length)); changed(); } });
    return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: title }), area);
  }
  function text(id, title, one, key) {
    const input = make("input", { id, value: one[key], disabled: readOnly, oninput: () => { one[key] = input.value; changed(); } });
    return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: title }), input);
  }

  filter.addEventListener("input", () => { drawn = DRAWN; draw(); });
  draw();
  return { element: make("div", { className: "stack" }, filter, list, make("p", {}, more)), draw, strips };
}
