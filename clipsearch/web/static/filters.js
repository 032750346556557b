// The panel of filters: by folder, name, date, format, size and tag. What there is to choose comes from the collection.

import { count, find, make } from "./elements.js";
import { filterCount } from "./query.js";
import { api, ask } from "./server.js";

const FIELDS = { "filter-folder": "folder", "filter-contains": "contains", "filter-from": "from", "filter-to": "to",
  "filter-width": "minWidth", "filter-height": "minHeight" };
const USUAL_FORMATS = ["JPEG", "PNG", "WEBP", "GIF"];

let filled = null; // the collection whose choices the panel holds

/** Make the panel work: `current()` answers the filters as they are, `change(filters)` takes others. */
export function takeFilters(current, change) {
  const toggle = find("filters-toggle");
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") !== "true";
    toggle.setAttribute("aria-expanded", open);
    find("filters").hidden = !open;
    if (open) fill(current());
  });
  for (const [id, name] of Object.entries(FIELDS)) {
    find(id).addEventListener("change", ({ target }) => {
      target.setCustomValidity("");
      if (target.validity.valid) change({ ...current(), [name]: target.value.trim() });
    });
  }
  find("filter-formats").addEventListener("change", () => {
    change({ ...current(), formats: [...find("filter-formats").querySelectorAll(":checked")].map((one) => one.value) });
  });
  find("filter-tag").addEventListener("change", (event) => {
    const { value } = event.target;
    event.target.value = "";
    if (value && !current().tags.includes(value)) change({ ...current(), tags: [...current().tags, value] });
  });
  find("filters-clear").addEventListener("click", () => change(none()));
  find("active-filters").addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (chosen) change(without(current(), chosen.dataset.name, chosen.dataset.value));
  });
}

/** No filter at all. */
export const none = () => ({ folder: "", contains: "", from: "", to: "", formats: [], tags: [], minWidth: "", minHeight: "" });

/** Show the filters of a state in the panel and, as chips that take them away, beside the status. */
export function showFilters(state) {
  const { filters } = state;
  const number = filterCount(state) + (state.collapse ? 1 : 0);
  find("filters-toggle").textContent = number ? `Filters (${number})` : "Filters";
  find("filters-clear").disabled = !filterCount(state);
  chooseFolder(filters.folder);
  for (const [id, name] of Object.entries(FIELDS)) find(id).value = filters[name];
  find("filter-to").setCustomValidity(filters.from && filters.to && filters.from > filters.to ? "This is before the first day." : "");
  showFormats(filters.formats);
  find("active-filters").replaceChildren(...inWords(filters).map(([name, value, text]) => make("li", {}, make("button", {
    type: "button", className: "small", dataset: { name, value }, "aria-label": `Take away the filter ${text}`,
  }, `${text} ×`))));
  if (filled !== null) fill(filters);
}

function inWords(filters) {
  return [
    filters.folder && ["folder", "", `in ${folderName(filters.folder)}`],
    filters.contains && ["contains", "", `named “${filters.contains}”`],
    filters.from && ["from", "", `from ${filters.from}`],
    filters.to && ["to", "", `to ${filters.to}`],
    ...filters.formats.map((one) => ["formats", one, one]),
    ...filters.tags.map((one) => ["tags", one, one.replace(":", ": ")]),
    filters.minWidth && ["minWidth", "", `${filters.minWidth} px wide or more`],
    filters.minHeight && ["minHeight", "", `${filters.minHeight} px high or more`],
  ].filter(Boolean);
}

function without(filters, name, value) {
  return { ...filters, [name]: Array.isArray(filters[name]) ? filters[name].filter((one) => one !== value) : "" };
}

// Folders of one name are common: 2024/summer and 2025/summer.
const folderName = (uri) => uri.replace(/\/$/, "").split("/").slice(-2).join("/") || uri;

function chooseFolder(folder) {
  const select = find("filter-folder");
  if (folder && ![...select.options].some((one) => one.value === folder)) {
    select.append(make("option", { value: folder, textContent: folderName(folder), title: folder }));
  }
}

function showFormats(chosen, known = null) {
  const place = find("filter-formats");
  const names = known || [...place.querySelectorAll("input")].map((one) => one.value);
  const all = [...new Set([...(names.length ? names : USUAL_FORMATS), ...chosen])];
  if (all.length !== place.querySelectorAll("input").length || known) {
    place.replaceChildren(...all.map((name) => make("label", { className: "check" },
      make("input", { type: "checkbox", value: name }), name)));
  }
  for (const box of place.querySelectorAll("input")) box.checked = chosen.includes(box.value);
}

/** Ask once for each collection what there is to choose: its folders, formats and tags. */
async function fill(filters) {
  const name = find("collection").value;
  if (filled === name) return;
  filled = name;
  const [statistics, taggings] = await Promise.all([
    ask(api("/statistics")).catch(() => null), ask(api("/tags")).catch(() => null)]);
  if (filled !== name) return;
  // What did not come is asked for again when the panel opens again.
  if (!statistics || !taggings) filled = null;
  if (statistics) {
    find("filter-folder").replaceChildren(make("option", { value: "", textContent: "any folder" }),
      ...statistics.folders.map(({ folder, images }) => make("option", {
        value: folder.endsWith("/") ? folder : `${folder}/`, textContent: `${folderName(folder)} (${count(images, "image")})`, title: folder })));
    chooseFolder(filters.folder);
    find("filter-folder").value = filters.folder;
    showFormats(filters.formats, statistics.formats.map((one) => one.format).filter(Boolean));
  }
  if (taggings) await fillTags(taggings.taggings ?? []);
  else find("filter-tag").replaceChildren(make("option", { value: "", textContent: "the tags did not come" }));
}

async function fillTags(taggings) {
  const sets = await Promise.all(taggings.map((one) => ask(`/api/v1/label-sets/${encodeURIComponent(one.label_set)}`).catch(() => null)));
  find("filter-tag").replaceChildren(
    make("option", { value: "", textContent: sets.length ? "add a tag…" : "no tags yet" }),
    ...sets.filter(Boolean).map((set) => make("optgroup", { label: set.name },
      make("option", { value: set.name, textContent: `any of ${set.name}` }),
      ...set.labels.map((label) => make("option", { value: `${set.name}:${label.name}`, textContent: label.name })),
      make("option", { value: `${set.name}:-`, textContent: "none of them" }))));
}
