// What a result looks like in the grid.

import { addressOf } from "./address.js";
import { fileName, make } from "./elements.js";
import { intoArguments, term } from "./query.js";
import { collection, thumbnail } from "./server.js";

/** A function that makes the inside of a tile: a link that opens it large, and one to similar images. */
export function tileOf(state) {
  return ({ image, score, relevance, duplicates }, _place, height) => {
    const name = fileName(image.uri);
    const style = { height: `${height}px` };
    const picture = make("img", { alt: "", decoding: "async", draggable: false, dataset: { src: thumbnail(image) }, style });
    const gone = () => picture.replaceWith(make("span", { className: "gone", textContent: "no picture", style }));
    picture.addEventListener("error", gone);
    const link = make("a", { className: "open", href: addressOf(intoArguments({ ...state(), open: image.id }, collection())) },
      picture, make("span", { className: "caption" }, make("span", { className: "name", textContent: name }), ...numbers(score, relevance)));
    if (duplicates.length) link.append(make("span", { className: "copies", textContent: `+${duplicates.length}`, title: `${duplicates.length} near-duplicates` }));
    const alike = make("a", { className: "similar", tabIndex: -1, textContent: "similar", "aria-label": `Similar to ${name}`,
      href: addressOf(intoArguments({ ...state(), text: "", terms: [term("image", image.id)], cut: "auto", open: null }, collection())) });
    return [link, alike];
  };
}

function numbers(score, relevance) {
  if (score === null) return [];
  const title = `cosine similarity ${score.toFixed(3)}${relevance === null ? "" : `; relevance ${relevance.toFixed(2)}`}`;
  const found = [make("span", { className: "score", title, textContent: score.toFixed(3) })];
  if (relevance !== null) {
    found.push(make("span", { className: "relevance", title }, make("span", { className: "unseen", textContent: `relevance ${Math.round(100 * relevance)} %` }),
      make("span", { className: "fill", style: { width: `${Math.round(100 * relevance)}%` } })));
  }
  return found;
}
