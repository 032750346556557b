// A question in a dialog: what is said in it, one way on, and a way out.

import { button, find, make, say } from "./elements.js";

/** Ask. `way` is [label, run, className]; what `run` throws is said, and the dialog stays. */
export function dialog(heading, content, [title, run, className]) {
  const element = find("dialog");
  const status = make("p", { className: "hint", role: "status", "aria-live": "polite" });
  const form = make("form", { className: "dialog-body stack", method: "dialog", onsubmit: async (event) => {
    event.preventDefault();
    yes.disabled = true;
    try {
      await run();
      element.close();
    } catch (error) {
      say(error.message, { error: true, place: status });
    } finally {
      yes.disabled = false;
    }
  } });
  const yes = make("button", { type: "submit", className, textContent: title });
  form.append(make("h2", { id: "dialog-title", textContent: heading }), ...content, status, make("div", { className: "row" }, yes, button("Cancel", () => element.close())));
  element.replaceChildren(form);
  element.showModal();
}

/** A field of a dialog: {element, value}. */
export function field(id, label, value = "") {
  const input = make("input", { id, value, maxLength: 200, autocomplete: "off", required: true });
  return { element: make("div", { className: "field" }, make("label", { htmlFor: id, textContent: label }), input), value: () => input.value.trim() };
}
