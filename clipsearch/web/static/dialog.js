// A question in a dialog: what is said in it, and the ways on.

import { find, make, say } from "./elements.js";

/** The way out of a question. */
export const CANCEL = ["Cancel", () => {}];

/** Ask. Each way is [label, run, className]; Enter takes the first. A way that answers false keeps the dialog open, and
 * so does one that throws: what it throws is said. */
export function dialog(heading, content, ...ways) {
  const element = find("dialog");
  const status = make("p", { className: "hint", role: "status", "aria-live": "polite" });
  const buttons = ways.map(([title, , className = ""], place) => make("button", { type: place ? "button" : "submit", className, textContent: title, onclick: () => place && take(place) }));
  const form = make("form", { className: "dialog-body stack", method: "dialog", onsubmit: (event) => { event.preventDefault(); take(0); } },
    make("h2", { id: "dialog-title", textContent: heading }), ...content, status, make("div", { className: "row" }, ...buttons));
  element.replaceChildren(form);
  element.showModal();

  async function take(place) {
    buttons[0].disabled = true;
    try {
      if ((await ways[place][1]()) !== false) element.close();
    } catch (error) {
      say(error.message, { error: true, place: status });
    } finally {
      buttons[0].disabled = false;
    }
  }
}

/** A field of a dialog: {element, value, select}. */
export function field(id, label, value = "") {
  const input = make("input", { id, value, maxLength: 200, autocomplete: "off", required: true });
  return { element: make("div", { className: "field" }, make("label", { htmlFor: id, textContent: label }), input), value: () => input.value.trim(), select: () => input.select() };
}
