// What is looked for, as one plain object: read from the address, written to it, and put to the API.
//
//   text      what stands in the text box
//   terms     what is mixed in: {kind: "text"|"image"|"picture", value, weight}; an image by its id, a picture by its name
//   filters   {folder, contains, from, to, formats, tags, minWidth, minHeight}
//   sort      "relevance", "newest" or "oldest";  cut  "auto", "all" or the least score;  collapse  near-duplicates once
//   open      the id of the image that is shown large, or null

import { toArguments } from "./address.js";

export const DEEPEST = 10000; // offset + k of the API
const KINDS = ["text", "image", "picture"];
const SORTS = ["relevance", "newest", "oldest"];

export const term = (kind, value, weight = 1, more = {}) => ({ kind, value, weight, ...more });

/** The state that an address means; what it cannot mean is left out and named in `unread`. */
export function fromArguments(values) {
  const unread = [];
  const one = (name, read, given = values.get(name)) => {
    const held = read(given);
    if (given && (held === null || held === "")) unread.push(`${name}=${given}`);
    return held;
  };
  const similar = one("similar", identity);
  const least = one("min_score", (text) => (text && isFinite(text) ? clamp(Number(text), -1, 1) : null));
  const state = {
    text: plain(values.get("q")),
    terms: [...(similar ? [term("image", similar)] : []), ...values.getAll("term").map((text) => one("term", readTerm, text)).filter(Boolean)],
    filters: {
      folder: plain(values.get("folder")), contains: plain(values.get("contains")),
      from: one("from", day), to: one("to", day),
      formats: values.getAll("format"), tags: values.getAll("tag"),
      minWidth: one("min_width", pixels), minHeight: one("min_height", pixels),
    },
    sort: one("sort", (text) => (SORTS.includes(text) ? text : "")) || "relevance",
    cut: values.get("all") === "1" ? "all" : least ?? "auto",
    collapse: values.get("collapse") === "1",
    open: one("open", identity),
  };
  return { ...state, unread };
}

/** The address's arguments for a state. A single stored image is `similar`, which also works without JavaScript. */
export function intoArguments(state, collection, { open = true } = {}) {
  const { terms, filters } = state;
  const alone = terms.length === 1 && terms[0].kind === "image" && terms[0].weight === 1 && !state.text.trim();
  return toArguments({
    q: state.text.trim(),
    similar: alone ? terms[0].value : null,
    term: alone ? [] : terms.map((one) => `${one.weight},${one.kind},${one.value}`),
    folder: filters.folder, contains: filters.contains, from: filters.from, to: filters.to,
    format: filters.formats, tag: filters.tags, min_width: filters.minWidth, min_height: filters.minHeight,
    sort: state.sort === "relevance" ? null : state.sort,
    all: state.cut === "all",
    min_score: typeof state.cut === "number" ? state.cut : null,
    collapse: state.collapse,
    collection,
    open: open ? state.open : null,
  });
}

/** Whether nothing is looked for: then the newest images are shown. */
export const isBrowsing = (state) => !state.text.trim() && !state.terms.length;

/** How many filters are set. */
export function filterCount({ filters }) {
  return Object.values(filters).filter((one) => (Array.isArray(one) ? one.length : one)).length;
}

/** The filters by the API's names. */
export function apiFilters({ filters }) {
  const found = {
    path_prefix: filters.folder, path_glob: filters.contains ? `*${filters.contains}*` : "",
    taken_from: filters.from, taken_to: filters.to, formats: filters.formats, tags: filters.tags,
    min_width: Number(filters.minWidth) || null, min_height: Number(filters.minHeight) || null,
  };
  return Object.fromEntries(Object.entries(found).filter(([, one]) => (Array.isArray(one) ? one.length : one)));
}

/** The body of a search; `given` answers the base64 of a picture by its term. */
export async function apiBody(state, given, { k, offset }) {
  const terms = state.text.trim() ? [{ text: state.text.trim() }] : [];
  for (const one of state.terms) {
    const what = one.kind === "text" ? { text: one.value } : one.kind === "image" ? { image_id: one.value }
      : { image: await given(one) };
    terms.push({ ...what, weight: one.weight });
  }
  const body = { terms, k, offset, relevance: true, filters: apiFilters(state) };
  if (state.cut === "auto") body.auto_cut = true;
  if (typeof state.cut === "number") body.min_score = state.cut;
  if (state.collapse) body.collapse_duplicates = true;
  if (state.sort !== "relevance") body.sort = state.sort;
  if (terms.length > 1) body.explain = true;
  if (offset === 0) body.histogram = true;
  return body;
}

/** A title for the window and for what is read out. */
export function titleOf(state) {
  const parts = [state.text.trim(), ...state.terms.map((one) => `${one.weight < 0 ? "less" : "more"} of ${nameOf(one)}`)];
  return parts.filter(Boolean).join(", ");
}

/** What a term is called. */
export const nameOf = (one) => (one.kind === "image" ? `image ${one.value}` : one.value);

function readTerm(text) {
  const [, weight, kind, value] = /^(-?[0-9.]+),([a-z]+),([^]+)$/.exec(text) || [];
  if (!KINDS.includes(kind) || !isFinite(weight)) return null;
  const held = kind === "image" ? identity(value) : value;
  return held ? term(kind, held, clamp(Number(weight), -100, 100)) : null;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const identity = (text) => (/^[1-9][0-9]{0,14}$/.test(text || "") ? Number(text) : null);
const pixels = (text) => { const number = identity(text); return number && number <= 1e6 ? number : ""; };
// No file and no model knows the character that ends texts elsewhere.
const plain = (text) => (text || "").replaceAll("\0", "");

/** A day that the calendar has: there is no 31st of June. */
function day(text) {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text || "")) return "";
  const moment = new Date(`${text}T00:00:00Z`);
  return !isNaN(moment) && moment.toISOString().startsWith(text) ? text : "";
}
