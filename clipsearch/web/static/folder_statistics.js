// What a collection holds, in numbers: by year, format and folder.

import { find, make } from "./elements.js";
import { api, ask } from "./server.js";

const MOST = 8;

/** Show the statistics of the collection; where the server has none, nothing. */
export async function showStatistics() {
  let told;
  try {
    told = await ask(api("/statistics"));
  } catch {
    return;
  }
  if (!told.images) return;
  find("statistics-panel").hidden = false;
  const facts = [["Images", told.images.toLocaleString("en")], ["Size", size(told.bytes)]];
  if (told.widths && told.heights) facts.push(["Width", span(told.widths)], ["Height", span(told.heights)]);
  if (told.uploads.images) facts.push(["Added here", told.uploads.images.toLocaleString("en")]);
  const charts = [["By year", told.years, "year"], ["By format", told.formats, "format"], ["By folder", told.folders, "folder"], ["Tagged with", told.tags, "label_set"]];
  find("statistics").replaceChildren(
    make("dl", { className: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { className: "number", textContent: value })))),
    ...charts.filter(([, counts]) => counts.length).map(([title, counts, key]) => chart(title, counts.map((one) => [one[key] ?? "unknown", one.images]))));
}

const span = ({ smallest, largest }) => (smallest === largest ? `${smallest}` : `${smallest}–${largest}`);

function chart(title, counts) {
  const most = Math.max(1, ...counts.map(([, number]) => number));
  return make("div", { className: "stack tight" }, make("h3", { textContent: title }), make("ul", { className: "counts" }, ...counts.slice(0, MOST).map(([name, number]) => make("li", {},
    make("span", { className: "one-line", textContent: shown(String(name)), title: String(name) }), make("progress", { max: most, value: number, "aria-label": String(name) }), make("span", { className: "number", textContent: number.toLocaleString("en") })))));
}

/** Of a folder its last two parts: the beginning is the same for most. */
function shown(name) {
  const parts = name.replace(/^file:\/\//, "").replace(/\/$/, "").split("/");
  return parts.length > 3 ? `…/${parts.slice(-2).join("/")}` : name;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes || 0, unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 && unit ? 1 : 0 })} ${units[unit]}`;
}
