// Parts of the label editor: fields that write into a draft or into one of its labels, and places of what is awaited.

import { find, make } from "./elements.js";
import { number } from "./label_draft.js";

/** The places of images of the collection, so many at most, that come a moment later. */
export function awaited(most) {
  const there = Number(find("collection").selectedOptions[0].dataset.images);
  return Array.from({ length: Math.min(most, there) }, () => make("li", { className: "awaited" }));
}

/** A field for a number of a draft or a label; empty means none. */
export function numberField(id, title, target, key, min, changed, readOnly) {
  const input = make("input", { id, type: "number", min: String(min), max: "1", step: "any", value: target[key] ?? "", disabled: Boolean(readOnly),
    oninput: () => { target[key] = number(input.value); changed(); } });
  return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: title }), input);
}
