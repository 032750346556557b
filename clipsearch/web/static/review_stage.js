// One image of the queue, large, with the labels to choose from; knows the keys, and nothing of the server's answers.

import { percent } from "./bars.js";
import { button, fileName, make } from "./elements.js";
import { keepFor, may } from "./scopes.js";
import { thumbnail } from "./server.js";

const KEYS = 9;
const SHOWN = 60;
// These count also when no image is left to decide on: the last decision can still be taken back.
const BACK = new Set(["u", "U", "Backspace"]);

/** The stage of a set: {show, key}. `ways` are {decide, undo, move}. */
export function stage({ labels, mode }, { decide, undo, move }) {
  const single = mode === "single";
  let entry = null, chosen = new Set(), offered = [], place = null;
  const filter = make("input", { type: "search", id: "find-label", placeholder: "Find a label", autocomplete: "off", hidden: labels.length <= KEYS,
    "aria-label": "Find a label", oninput: () => draw() });
  const list = make("ol", { className: "answers", "aria-label": single ? "It shows" : "It shows, choose all that are there" });
  const image = make("img", { className: "review-image" });
  const caption = make("figcaption", { className: "hint one-line" });
  const guess = make("p", { className: "guess" });
  const accept = button("", () => confirm(), "main big");
  const parts = make("div", { className: "review" },
    make("figure", { className: "review-figure" }, image, caption),
    make("div", { className: "stack" }, guess, may("write") ? null : make("p", { className: "hint", textContent: "Your key may read only: to decide, sign in with one that may write." }),
      make("div", { className: "row" }, accept, button("None of them", () => decide({ decision: "correct", labels: [] }), "big"), button("Skip", () => decide({ decision: "skip" }), "big"), button("Undo", undo, "big")),
      filter, list,
      make("div", { className: "row" }, button("← Before", () => move(-1), "small plain"), button("After →", () => move(1), "small plain")),
      keysHelp(single, labels.length > KEYS)));

  function show(given, at) {
    entry = given;
    chosen = new Set(entry.labels);
    filter.value = "";
    Object.assign(image, { src: thumbnail(entry.image, 960), alt: fileName(entry.image.uri) });
    if (entry.image.width && entry.image.height) Object.assign(image, { width: entry.image.width, height: entry.image.height });
    caption.textContent = fileName(entry.image.uri);
    caption.title = entry.image.uri;
    const [best] = entry.choices;
    const sure = best ? ` ${percent(best.probability)}` : "";
    guess.replaceChildren("The model says: ", make("strong", { textContent: entry.labels.join(", ") || "none of them" }), make("span", { className: "quiet number", textContent: sure }));
    draw();
    keepFor("write", parts.querySelector(".row"));
    if (place !== at || !at.contains(parts)) at.replaceChildren(parts);
    place = at;
    if (!parts.contains(document.activeElement) || document.activeElement === filter) accept.focus({ preventScroll: true });
  }

  /** The labels in the set's order where there are few; else the likely ones first, or what the filter finds. */
  function draw() {
    const share = new Map(entry.choices.filter((one) => one.label !== null).map((one) => [one.label, one.probability]));
    const text = filter.value.trim().toLowerCase();
    const likely = labels.length > KEYS ? [...share.keys()].filter((one) => labels.includes(one)) : [];
    const all = [...likely, ...labels.filter((one) => !likely.includes(one))];
    const found = text ? all.filter((one) => one.toLowerCase().includes(text)) : all;
    offered = found.slice(0, SHOWN);
    list.replaceChildren(...offered.map((label, at) => make("li", {}, answer(label, at, share.get(label)))));
    if (found.length > SHOWN) list.append(make("li", { className: "hint", textContent: `and ${found.length - SHOWN} more: type to find them` }));
    accept.textContent = isAccepted() ? `Accept ${entry.labels.length ? "" : "“none of them”"}`.trim() : `It is ${[...chosen].join(", ") || "none of them"}`;
  }
  function answer(label, at, share) {
    const one = button("", () => choose(label), "answer");
    one.append(...(at < KEYS ? [make("kbd", { textContent: String(at + 1), "aria-hidden": "true" })] : []), make("span", { className: "one-line", textContent: label }),
      make("span", { className: "hint number", textContent: share === undefined ? "" : percent(share) }));
    one.title = label;
    keepFor("write", one);
    one.setAttribute("aria-pressed", String(chosen.has(label)));
    if (at < KEYS) one.setAttribute("aria-keyshortcuts", String(at + 1));
    return one;
  }
  const isAccepted = () => chosen.size === entry.labels.length && entry.labels.every((one) => chosen.has(one));

  function choose(label) {
    if (single) return decide(isSame(label) ? { decision: "accept" } : { decision: "correct", labels: [label] });
    if (!chosen.delete(label)) chosen.add(label);
    const at = [...list.querySelectorAll("button")].indexOf(document.activeElement);
    draw();
    if (at >= 0) list.querySelectorAll("button")[at].focus();
    return undefined;
  }
  const isSame = (label) => entry.labels.length === 1 && entry.labels[0] === label;
  function confirm() {
    decide(isAccepted() ? { decision: "accept" } : { decision: "correct", labels: labels.filter((one) => chosen.has(one)) });
  }

  function inFilter(event) {
    if (event.key === "Escape") {
      filter.value = "";
      draw();
      accept.focus();
    } else if (event.key === "Enter" && filter.value.trim() && offered.length) choose(offered[0]);
    else return;
    event.preventDefault();
  }
  /** What a key means; keys that belong to a field or a control stay with it. */
  function key(event) {
    if (!entry || !(parts.isConnected || BACK.has(event.key)) || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { target } = event;
    if (target === filter) return inFilter(event);
    if (target.closest("input, textarea, select, dialog, header.bar, .toast, a")) return;
    const onControl = target.closest("button") && target.closest("button") !== accept;
    if ((event.key === "Enter" || event.key === " ") && onControl) return;
    const run = meaning(event.key);
    if (!run) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) run();
  }
  function meaning(pressed) {
    const at = "123456789".indexOf(pressed);
    if (pressed.length === 1 && at >= 0) return offered[at] === undefined ? null : () => choose(offered[at]);
    if (pressed === "/" && !filter.hidden) return () => filter.focus();
    return { Enter: confirm, " ": confirm, 0: () => decide({ decision: "correct", labels: [] }), s: () => decide({ decision: "skip" }), S: () => decide({ decision: "skip" }),
      u: undo, U: undo, Backspace: undo, ArrowLeft: () => move(-1), ArrowRight: () => move(1) }[pressed] || null;
  }
  return { show, key };
}

function keysHelp(single, many) {
  const row = (keys, text) => make("span", { className: "key-row" }, ...keys.map((one) => make("kbd", { textContent: one })), ` ${text}`);
  return make("p", { className: "hint keys" }, row(["Enter"], "accept"), row(["1–9"], single ? "it is this label" : "on or off"), row(["0"], "none of them"),
    row(["S"], "skip"), row(["U"], "undo"), row(["←", "→"], "before, after"), many ? row(["/"], "find a label") : null);
}
