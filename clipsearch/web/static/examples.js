// Lets an image stand for a label: a form with the label sets and their labels.

import { make, tell, toast } from "./elements.js";
import { ask, collection } from "./server.js";

/** The form, closed at first; the label sets are asked for when it opens. */
export function exampleForm(image) {
  const set = make("select", { id: "example-set" });
  const label = make("select", { id: "example-label" });
  const send = make("button", { type: "submit", className: "main", textContent: "Use as example", disabled: true });
  const form = make("form", { className: "stack" },
    make("div", { className: "field" }, make("label", { htmlFor: "example-set", textContent: "Label set" }), set),
    make("div", { className: "field" }, make("label", { htmlFor: "example-label", textContent: "Label" }), label),
    make("p", { className: "hint", textContent: "The label will be told by this image too, beside its words." }), send);
  const place = make("details", { className: "examples" }, make("summary", { textContent: "Use as example for a label" }), form);
  let sets = null;
  const showLabels = () => {
    const chosen = (sets || []).find((one) => one.name === set.value);
    label.replaceChildren(...(chosen ? chosen.labels : []).map((one) => make("option", { value: one.name, textContent: one.name })));
    send.disabled = !chosen;
  };
  const load = async () => {
    try {
      sets = (await ask("/api/v1/label-sets")).label_sets;
      set.replaceChildren(...sets.map((one) => make("option", { value: one.name, textContent: one.name })));
      showLabels();
      if (!sets.length) form.replaceChildren(make("p", { className: "quiet" }, "There is no label set yet. ", make("a", { href: "/labels", textContent: "Make one" })));
    } catch (error) {
      tell(error, load);
    }
  };
  place.addEventListener("toggle", () => place.open && sets === null && load());
  set.addEventListener("change", showLabels);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const add = async () => {
      try {
        await ask(`/api/v1/label-sets/${encodeURIComponent(set.value)}/labels/${label.value.split("/").map(encodeURIComponent).join("/")}/examples`,
          { json: { image_ids: [image.id], collection: collection() } });
        toast(`It stands for “${label.value}” in ${set.value} now.`);
      } catch (error) {
        tell(error, error.code === "unreachable" ? add : null);
      }
      send.disabled = false;
    };
    await add();
  });
  return place;
}
