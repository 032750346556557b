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
  find("statistics").replaceChildren(
    make("dl", { className: "facts" }, ...facts.flatMap(([name, value]) => [make("div", {}, make("dt", { textContent: name }), make("dd", { className: "number", textContent: value }))])),
    ...[["By year", told.by_year], ["By format", told.by_format], ["By folder", told.by_folder]].filter(([, counts]) => counts).map(([title, counts]) => chart(title, entries(counts))));
}

/** [name, count] of an object or of a list of objects. */
function entries(counts) {
  if (!Array.isArray(counts)) return Object.entries(counts);
  return counts.map((one) => [one.key ?? one.name ?? one.folder ?? one.year ?? one.format ?? "–", one.images ?? one.count]);
}

function chart(title, counts) {
  const most = Math.max(1, ...counts.map(([, number]) => number));
  return make("div", { className: "stack tight" }, make("h3", { textContent: title }), make("ul", { className: "counts" }, ...counts.slice(0, MOST).map(([name, number]) => make("li", {},
    make("span", { className: "one-line", textContent: shown(String(name)), title: String(name) }), make("progress", { max: most, value: number, "aria-label": String(name) }), make("span", { className: "number", textContent: number.toLocaleString("en") })))));
}

function shown(name) {
  if (!name.startsWith("file:")) return name;
  try {
    return decodeURIComponent(name.replace(/\/$/, "").split("/").pop());
  } catch {
    return name;
  }
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes || 0, unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 && unit ? 1 : 0 })} ${units[unit]}`;
}
