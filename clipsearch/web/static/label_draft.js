// A label set as it is edited, and as the API takes it; knows no element of the page.

export const MODES = {
  single: "which one of these",
  multi: "which of these are there",
  binary: "each label, or not",
};
export const AGGREGATES = {
  mean_embedding: "their mean",
  max: "the nearest of them",
  sum_probability: "their probabilities together",
};
const SET_NUMBERS = ["min_score", "min_probability", "min_margin"];
const LABEL_NUMBERS = ["words_weight", "min_score", "min_probability"];

let lastKey = 0;

/** A label of a draft; `key` tells it apart while its name changes. */
export function label(given = {}) {
  lastKey += 1;
  const usual = { name: "", prompts: [], negatives: [], category: "", words_weight: null, min_score: null, min_probability: null };
  // Examples are added to in place, and must not be those of another draft.
  return { key: lastKey, ...usual, ...given, examples: [...(given.examples || [])] };
}

/** A draft of what the API answered (or of nothing). */
export function draftOf(info = {}) {
  return {
    name: info.name || "", version: info.version || 0, mode: info.mode || "single",
    aggregate: info.aggregate || "mean_embedding", templates: info.templates || [], background: info.background || [],
    min_score: info.min_score ?? null, min_probability: info.min_probability ?? null, min_margin: info.min_margin ?? null,
    labels: (info.labels || []).map((one) => label({ ...one, category: one.category || "" })),
  };
}

const trimmed = (texts) => texts.map((one) => one.trim()).filter(Boolean);

/** The body of a request: labels without a name, and what has no value, are left out. */
export function bodyOf(draft) {
  const body = {
    mode: draft.mode, aggregate: draft.aggregate, templates: trimmed(draft.templates), background: trimmed(draft.background),
    labels: draft.labels.filter((one) => one.name.trim()).map(labelBody),
  };
  for (const name of SET_NUMBERS) if (draft[name] !== null) body[name] = draft[name];
  return body;
}

function labelBody(one) {
  const body = { name: one.name.trim(), prompts: trimmed(one.prompts), negatives: trimmed(one.negatives) };
  if (one.category.trim()) body.category = one.category.trim();
  for (const name of LABEL_NUMBERS) if (one[name] !== null) body[name] = one[name];
  if (one.examples.length) body.examples = one.examples.map(({ uri, digest }) => ({ uri, digest }));
  return body;
}

/** Whether two drafts would be saved alike. */
export const same = (one, other) => JSON.stringify(bodyOf(one)) === JSON.stringify(bodyOf(other));

/** Why a draft cannot be tried or saved yet; null where it can. */
export function missing(draft) {
  const names = draft.labels.map((one) => one.name.trim()).filter(Boolean);
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (!names.length) return "Give the first labels.";
  if (twice) return `The label ${twice} stands twice.`;
  if (names.length < 2 && draft.mode === "single" && !trimmed(draft.background).length) {
    return "One label alone always gets 100 %: give a second one, or say what else it may be.";
  }
  return null;
}

export const NAME_RULE = "200 characters at most, without slashes.";

/** Why a label set cannot have this name; null where it can, or where none is given yet. */
export function nameFault(name) {
  if (/[/\\]/.test(name)) return "The name of a label set has no slashes.";
  return [".", ".."].includes(name.trim()) ? "The name of a label set is more than dots." : null;
}

/** Names of labels in a text with commas or lines. */
export const names = (text) => trimmed(text.split(/[\n,;]/));

/** A number of a field, null where it is empty or none. */
export function number(text) {
  const value = Number(text);
  return text.trim() === "" || !Number.isFinite(value) ? null : value;
}
