// The editor of one label set: its head, its labels, and beside them what they make of the visitor's own images.

import { button, count, find, make, say, set } from "./elements.js";
import { applyPanel } from "./label_apply.js";
import { labelCards } from "./label_cards.js";
import { AGGREGATES, MODES, NAME_RULE, label, missing, nameFault, names, same } from "./label_draft.js";
import { numberField } from "./label_fields.js";
import { startPreview } from "./label_preview.js";
import { history, remove, save, saveAs } from "./label_saving.js";
import { addressOf } from "./address.js";
import { may } from "./scopes.js";
import { collection } from "./server.js";

/** Open a set in `place`; `ways` are {visit, saved, leave}. Answers {dirty, state, close}. */
export function openEditor(place, state, ways) {
  const { draft } = state;
  const fixed = Boolean(state.readOnly) || !may("write");
  const status = make("p", { className: "editor-status", role: "status", "aria-live": "polite" });
  const changed = () => {
    const fault = state.name ? null : nameFault(draft.name);
    const why = missing(draft) || fault;
    const dirty = isDirty();
    set(head.save, { disabled: fixed || Boolean(why) || !dirty });
    if (head.name) set(head.name, { "aria-invalid": fault ? "true" : null });
    say(fixed ? "" : why || (dirty ? "Not saved yet" : ""), { place: status, error: Boolean(fault) && why === fault });
    preview.update();
  };
  const isDirty = () => !fixed && !state.gone && (!same(draft, state.saved) || (!state.name && draft.labels.length > 0));
  const cards = labelCards(draft, { changed, readOnly: fixed });
  const preview = startPreview(draft, { cards, changed, readOnly: fixed });
  const head = header(state, ways, status, { isDirty, changed });
  place.replaceChildren(head.element, warnings(state), make("div", { className: "editing" },
    make("div", { className: "stack" }, rules(draft, changed, fixed), adding(draft, cards, changed, fixed), cards.element),
    make("aside", { className: "stack", "aria-label": "Preview" }, preview.element, state.name && !state.readOnly ? applyPanel(state) : null)));
  changed();
  if (!state.name && !draft.labels.length) find("set-name").focus();
  return {
    dirty: isDirty,
    state: () => ({ ...state, draft }),
    close: () => { preview.stop(); place.replaceChildren(); },
  };
}

function header(state, ways, status, { isDirty, changed }) {
  const { draft } = state;
  const back = make("a", { className: "hint", href: addressOf({ collection: collection() }, "/labels"), textContent: "← All label sets" });
  const input = state.name ? null : make("input", { id: "set-name", value: draft.name, placeholder: "pets", maxLength: 200, autocomplete: "off", "aria-describedby": "set-name-rule",
    oninput: () => { draft.name = input.value; changed(); } });
  const barred = !may("write");
  const saveButton = button(state.version ? `Bring version ${state.version} back` : "Save", () => save(state, ways), "main");
  const more = barred ? [] : state.readOnly ? [button("Copy it to change it", () => saveAs(state, ways), "main")] : [saveButton];
  if (state.name) {
    more.push(make("a", { className: "button", href: `/api/v1/label-sets/${encodeURIComponent(state.name)}/file?form=yaml`, textContent: "Export" }));
    if (!state.readOnly) more.push(button("History", () => history(state, ways)));
    if (!state.readOnly && !barred) more.push(button("Copy", () => saveAs(state, ways)), button("Delete…", () => remove(state, ways, isDirty), "danger"));
  }
  const title = state.name ? make("h1", { textContent: state.name }) : make("h1", { textContent: "New label set" });
  const version = state.name && !state.readOnly ? `version ${draft.version}` : state.readOnly ? "comes with clipsearch; copy it to change it" : "";
  return {
    save: saveButton,
    name: input,
    element: make("header", { className: "lead" }, make("p", {}, back),
      make("div", { className: "row" }, make("div", { className: "row" }, title, version ? make("span", { className: "badge", textContent: version }) : null),
        make("div", { className: "row" }, status, ...more)),
      input ? make("div", { className: "field narrow" }, make("label", { htmlFor: "set-name", textContent: "Name" }), input,
        make("span", { className: "hint", id: "set-name-rule", textContent: NAME_RULE })) : null,
      barred ? make("p", { className: "hint", textContent: "Your key may read only: to change label sets, sign in with one that may write." }) : null),
  };
}

function warnings(state) {
  if (!state.warnings || !state.warnings.length) return make("span", { hidden: true });
  return make("ul", { className: "card warnings", "aria-label": "Warnings" }, ...state.warnings.map((one) => make("li", { textContent: one })));
}

/** How one of the labels is chosen: mode, templates, background, thresholds. */
function rules(draft, changed, readOnly) {
  const choice = (id, title, options, key) => {
    const select = make("select", { id, disabled: Boolean(readOnly), onchange: () => { draft[key] = select.value; changed(); } },
      ...Object.entries(options).map(([value, text]) => make("option", { value, textContent: `${value.replace("_", " ")}: ${text}`, selected: draft[key] === value })));
    return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: title }), select);
  };
  const many = (id, title, key, placeholder) => {
    const area = make("textarea", { id, rows: 2, value: draft[key].join("\n"), placeholder, disabled: Boolean(readOnly), spellcheck: false,
      oninput: () => { draft[key] = area.value.split("\n"); changed(); } });
    return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: title }), area);
  };
  const threshold = (id, title, key, min) => numberField(id, title, draft, key, min, changed, readOnly);
  const advanced = make("details", {}, make("summary", { textContent: "Templates and thresholds" }), make("div", { className: "stack tight" },
    many("templates", "Templates, one a line; {} is the place of the label", "templates", "a photo of a(n) {}."),
    choice("aggregate", "Several prompts of a label count by", AGGREGATES, "aggregate"),
    make("div", { className: "numbers" }, threshold("min-probability", "Least probability", "min_probability", 0),
      threshold("min-margin", "Least margin", "min_margin", 0), threshold("min-score", "Least score", "min_score", -1))));
  return make("section", { className: "card stack tight", "aria-label": "How labels are chosen" }, make("div", { className: "halves" },
    choice("mode", "Mode", MODES, "mode"), many("background", "Something else it may be, one a line", "background", "a blurred picture")), advanced);
}

function adding(draft, cards, changed, readOnly) {
  if (readOnly) return make("h2", { textContent: count(draft.labels.length, "label") });
  const field = make("input", { id: "add-labels", placeholder: "cat, dog, hamster", autocomplete: "off" });
  const form = make("form", { className: "row grow", onsubmit: (event) => {
    event.preventDefault();
    const known = new Set(draft.labels.map((one) => one.name.trim()));
    const fresh = [...new Set(names(field.value))].filter((name) => !known.has(name));
    if (!fresh.length) return field.focus();
    draft.labels.push(...fresh.map((name) => label({ name })));
    field.value = "";
    cards.draw();
    changed();
    return field.focus();
  } }, make("div", { className: "field" }, make("label", { htmlFor: "add-labels", textContent: "Add labels, with commas" }), field), make("button", { type: "submit", textContent: "Add" }));
  return form;
}

