// Fields of the label editor that write into a draft or into one of its labels.

import { make } from "./elements.js";
import { number } from "./label_draft.js";

/** A field for a number of a draft or a label; empty means none. */
export function numberField(id, title, target, key, min, changed, readOnly) {
  const input = make("input", { id, type: "number", min: String(min), max: "1", step: "any", value: target[key] ?? "", disabled: Boolean(readOnly),
    oninput: () => { target[key] = number(input.value); changed(); } });
  return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: title }), input);
}
