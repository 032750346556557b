// The mix: what else to look for, each as a chip with its weight. Below zero a weight means "less of this".

import { find, isPlainClick, make } from "./elements.js";
import { nameOf, term } from "./query.js";
import { isLost, previewOf } from "./pictures.js";
import { thumbnail } from "./server.js";

const STEP = 0.25;
const MOST = 5;

/** Show the terms of a state as chips; `change(terms)` is called with others when the visitor changes them. */
export function showChips({ terms }, change) {
  const place = find("chips");
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  place.replaceChildren(...terms.map((one, at) => chip(one, at, terms, change)));
  place.hidden = !terms.length;
  if (focused !== null) (place.querySelector(`[data-at="${focused}"]`) || find("mix-text")).focus();
}

function chip(one, at, terms, change) {
  const less = one.weight < 0;
  const name = nameOf(one);
  const weight = make("input", { type: "number", min: -MOST, max: MOST, step: STEP, value: one.weight,
    "aria-label": `Weight of ${name}`, title: "How much it counts; below zero means less of this", dataset: { at: `weight ${at}` } });
  weight.addEventListener("change", () => {
    const given = weight.value === "" ? one.weight : Math.min(MOST, Math.max(-MOST, Number(weight.value)));
    weight.value = given;
    if (given !== one.weight) change(terms.map((other) => (other === one ? { ...one, weight: given } : other)));
  });
  return make("li", { className: `chip ${less ? "less" : "more"}${isLost(one) ? " lost" : ""}` },
    picture(one),
    make("span", { className: "what", title: name, textContent: `${less ? "less of" : one.weight ? "more of" : "without weight:"} ${name}` }),
    weight,
    make("button", { type: "button", textContent: "×", "aria-label": `Take ${name} out of the mix`, dataset: { at: `remove ${at}` },
      onclick: () => change(terms.filter((other) => other !== one)) }));
}

function picture(one) {
  const source = one.kind === "image" ? thumbnail({ id: one.value }) : one.kind === "picture" ? previewOf(one) : null;
  if (!source) return null;
  const image = make("img", { src: source, alt: "", width: 28, height: 28 });
  // Not every browser can show every format that the server reads.
  image.addEventListener("error", () => image.remove());
  return image;
}

/** Make the field beside the chips add texts. */
export function takeTexts(terms, change) {
  const field = find("mix-text");
  const add = (weight) => {
    const text = field.value.trim();
    if (!text) return field.focus();
    field.value = "";
    return change([...terms(), term("text", text, weight)]);
  };
  find("mix-more").addEventListener("click", (event) => isPlainClick(event) && add(1));
  find("mix-less").addEventListener("click", (event) => isPlainClick(event) && add(-0.5));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add(event.shiftKey ? -0.5 : 1);
  });
}
