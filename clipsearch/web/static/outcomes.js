// What came of a search, in words: how many images, why none, and what of the question was not understood.

import { addressOf } from "./address.js";
import { count, make, notice } from "./elements.js";
import { filterCount } from "./query.js";
import { collection, sentence } from "./server.js";

const WINDOW = 1000; // of the API: the best that are looked at where the order is by date
const LONGEST = 60; // signs of a word that is repeated to the one who wrote it

/** As much of what was written as reminds of it. */
export const brief = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

/** What was found, in a line: of a feed, where the collection holds `total` images. */
export function summary({ answer, results, whole, state: asked, total }) {
  const number = whole ? count(results.length, "image") : `more than ${count(results.length, "image")}`;
  if (!answer) {
    const all = filterCount(asked) ? number : count(total, "image");
    return results.length ? `${all}, the ${asked.sort === "oldest" ? "oldest" : "newest"} first` : "No images";
  }
  if (!results.length) return sentence(answer.notice || "No image");
  const dated = answer.window && asked.sort !== "relevance";
  const parts = [sentence(dated ? `${number}, the ${asked.sort} first` : number)];
  if (dated && answer.window >= WINDOW) parts.push(`only the ${answer.window.toLocaleString("en")} best are put in order`);
  if (answer.unknown_words.length) parts.push(`the model never saw: ${answer.unknown_words.map(brief).join(", ")}`);
  if (answer.truncated) parts.push("the text was longer than the model reads");
  return parts.join("; ");
}

/** Why a state shows nothing; `nearest` is whether there are images that pass the filters. */
export function whyNothing(state, nearest) {
  const { from, to } = state.filters;
  if (from && to && from > to) return "The filter's first day is after its last.";
  if (!filterCount(state)) return "No image seems to show that. Other words may help, or the nearest ones.";
  return nearest ? "No image passes the filters and the cut-off." : "No image passes the filters.";
}

/** A collection without images: where it gets some. */
export const toFolders = () => notice("Nothing is indexed here yet", "Choose a folder, and its images can be found by what is in them.",
  make("a", { className: "button main", href: addressOf({ collection: collection() }, "/folders"), textContent: "Index a folder" }));
