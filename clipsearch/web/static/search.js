// The search view: joins the text box, the mix, the filters, the cut-off, the grid and the viewer to one state, which
// stands in the address.

import { addressOf, go, here, onReturn } from "./address.js";
import { showChips, takeTexts } from "./chips.js";
import { announce, button, find, isPlainClick, make, notice, say, tell, toast, wayOn } from "./elements.js";
import { Feed } from "./feed.js";
import { none, showFilters, takeFilters } from "./filters.js";
import { Grid, skeleton } from "./grid.js";
import { showCut, takeCut } from "./histogram.js";
import { brief, summary, toFolders, whyNothing } from "./outcomes.js";
import { isLost, pictureTerm, takePictures } from "./pictures.js";
import { forgetPlace, keepPlace, keepPlaces, placeNow, wayBack } from "./place.js";
import { filterCount, fromArguments, intoArguments, isBrowsing, nameOf, term, titleOf } from "./query.js";
import { collection } from "./server.js";
import { tileOf } from "./tiles.js";
import { beginViewer, closeViewer, openViewer, steps } from "./viewer.js";

const STILL = 120; // milliseconds without a key before what is typed is looked for
const PATIENCE = 200; // and before grey tiles take the place of old results
const REMEMBERED = 8;

let state = { ...fromArguments(here()), collection: collection() };
let feed = null;
let grid = null;
let typing = 0; // the timer of what is being typed
let draft = false; // whether the history's entry is of a text that is still being typed
const remembered = new Map(); // feeds of states that were shown, so that going back is at once

const signature = (one) => `${intoArguments(one, one.collection, { open: false })} ${one.terms.map((each) => each.key || "").join()}`;
const total = () => Number(find("collection").selectedOptions[0].dataset.images);

/** Go to another state: in a new entry of the history, or in the place of this one. */
function turn(change, { replace = false } = {}) {
  const before = signature(state);
  keepPlace();
  state = { ...state, ...change, collection: collection() };
  // What is opened lies over the results, which stay where they are.
  const place = signature(state) === before ? placeNow() : {};
  go(intoArguments(state, collection()), { replace, state: { ...place, keys: state.terms.map((one) => one.key ?? null), inside: Boolean(state.open) && !replace } });
  show(before);
}

/** Show the state; what is shown already stays. */
function show(before = null, kept = {}) {
  document.title = titleOf(state) ? `${titleOf(state)} – clipsearch` : "clipsearch";
  if (document.activeElement !== find("q")) find("q").value = state.text;
  showChips(state, (terms) => turn({ terms }));
  showFilters(state);
  find("sort").options[0].hidden = isBrowsing(state);
  find("sort").value = isBrowsing(state) && state.sort === "relevance" ? "newest" : state.sort;
  find("collapse").checked = state.collapse;
  if (signature(state) !== before) run(kept);
  if (state.open) openViewer(state.open, feed.results.find((one) => one.image.id === state.open));
  else closeViewer();
}

/** Ask for what the state means; `scroll` and `results` are the place that was kept. */
async function run({ scroll = 0, results = 0 } = {}) {
  if (feed) feed.stop();
  wayBack(scroll > 0);
  const mine = remembered.get(signature(state)) ?? new Feed(state, collection(), total());
  feed = mine;
  if (find("collection").selectedOptions[0].dataset.missing) return nowhere();
  if (mine.results.length >= Math.max(1, results)) return arrived(mine, scroll);
  if (state.terms.some(isLost)) return lost(state.terms.find(isLost));
  find("found").setAttribute("aria-busy", "true");
  const slow = setTimeout(wait, grid.results.length ? PATIENCE : 0);
  say("Searching…");
  try {
    do await mine.next(results); while (mine === feed && mine.results.length < results && !mine.whole);
    if (mine === feed) arrived(mine, scroll);
  } catch (error) {
    if (mine === feed && error.name !== "AbortError") failed(error, () => run({ scroll, results }));
  } finally {
    clearTimeout(slow);
  }
  return null;
}

function wait() {
  grid.reset([], true);
  find("message").replaceChildren();
  find("pending").hidden = false;
  skeleton(find("pending"));
}

function arrived(mine, scroll) {
  remembered.delete(signature(state));
  remembered.set(signature(state), mine);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value);
  settle();
  if (!scroll && scrollY > find("found").offsetTop) scrollTo(0, 0);
  grid.reset(mine.results, mine.whole, isBrowsing(state) && !filterCount(state) ? mine.total : -1);
  if (scroll) scrollTo(0, scroll);
  wayBack(false);
  showCut(state, mine.answer);
  tellOf(mine);
  find("cut-note").hidden = !(mine.answer && mine.answer.cut && mine.answer.cut.left_out);
  find("show-all").href = addressOf(intoArguments({ ...state, cut: "all", open: null }, collection()));
  if (!mine.results.length) find("message").replaceChildren(nothing(mine));
  const at = mine.results.findIndex((one) => one.image.id === state.open);
  if (at < 0) return steps();
  // Opened by its address alone: now its numbers and its place are known.
  grid.activate(at);
  return openViewer(state.open, mine.results[at]);
}

function tellOf(mine) {
  say(summary(mine));
  // Bars that are all full tell nothing.
  find("found").classList.toggle("alike", mine.results.every((one) => one.relevance >= 0.995));
}

/** No more waiting: grey tiles and old messages go. */
function settle() {
  find("found").removeAttribute("aria-busy");
  find("pending").hidden = true;
  find("message").replaceChildren();
  find("cut-note").hidden = true;
  find("footer").hidden = !feed.whole;
}

/** The grid is near its end and wants more. */
async function need({ again = false } = {}) {
  const mine = feed;
  if (!mine || mine.whole || mine.coming || (mine.failed && !again)) return;
  try {
    const page = await mine.next();
    if (mine !== feed) return;
    grid.append(page, mine.whole, grid.total);
    find("footer").hidden = !mine.whole;
    tellOf(mine);
    steps();
  } catch (error) {
    if (mine !== feed || error.name === "AbortError") return;
    tell(error, () => need({ again: true }));
  }
}

/** There is no collection at all: nothing to ask the server for. */
function nowhere() {
  settle();
  grid.reset([], true);
  showCut(state, null);
  say("No images");
  find("message").replaceChildren(toFolders());
}

function nothing({ answer }) {
  if (!total() && !filterCount(state)) return toFolders();
  // Without a histogram no image is left to be the nearest.
  const nearest = answer && answer.histogram && state.cut !== "all";
  const ways = [];
  if (nearest) ways.push(button("Show the nearest all the same", () => turn({ cut: "all" }), "main"));
  if (filterCount(state)) ways.push(button("Take away the filters", () => turn({ filters: none() }), nearest ? "" : "main"));
  if (!isBrowsing(state)) ways.push(button("Start anew", anew));
  return notice(answer ? "Nothing matches" : "No images here", whyNothing(state, nearest), ...ways);
}

function lost(one) {
  settle();
  grid.reset([], true);
  showCut(state, null);
  say("");
  find("message").replaceChildren(notice("This search was by an image", `An address cannot hold the image “${nameOf(one)}”. Give it again to see the same results.`,
    button("Choose the image…", () => find("choose").click(), "main"),
    button("Search without it", () => turn({ terms: state.terms.filter((other) => !isLost(other)) }))));
}

function failed(error, again) {
  settle();
  grid.reset([], true);
  showCut(state, null);
  wayBack(false);
  const gone = error.code === "collection_not_found";
  const ways = [wayOn(error, again), gone ? make("a", { className: "button main", href: "/", textContent: "Show what is there" })
    : isBrowsing(state) || error.signIn ? null : button("Start anew", anew)].filter(Boolean);
  const heading = error.signIn ? "A key is needed" : error.code === "unreachable" ? "The server does not answer"
    : gone ? `There is no collection “${brief(collection())}” any more` : "That did not work";
  say(heading, { error: true });
  find("message").replaceChildren(notice(heading, gone ? "It was renamed or deleted." : error.message, ...ways));
}

const anew = () => { find("q").value = ""; turn({ text: "", terms: [], filters: none(), cut: "auto", sort: "relevance" }); };

/** The state of an address, with the images that this window still holds for it; what cannot be read is told. */
function read(values, kept) {
  const found = { ...fromArguments(values), collection: collection() };
  found.terms.forEach((one, at) => { if (one.kind === "picture" && kept.keys) one.key = kept.keys[at]; });
  if (found.unread.length) toast(`Left out of the address, as it cannot be read: ${found.unread.map(brief).join(", ")}`, { error: true });
  return found;
}

function typed(now) {
  clearTimeout(typing);
  const text = find("q").value;
  const search = () => {
    if (text.trim() === state.text.trim()) return;
    // One entry for a text, however many letters it has; Enter and leaving the field end it.
    const replace = draft;
    draft = true;
    turn({ text, cut: typeof state.cut === "number" ? "auto" : state.cut }, { replace });
  };
  if (now) { search(); draft = false; } else typing = setTimeout(search, STILL);
}

function takePicture(file) {
  const given = pictureTerm(file, (why) => toast(why, { error: true }));
  if (!given) return;
  const lostOne = state.terms.find(isLost);
  find("q").value = lostOne ? state.text : "";
  if (lostOne) turn({ terms: state.terms.map((one) => (one === lostOne ? { ...given, weight: one.weight } : one)) }, { replace: true });
  else turn({ text: "", terms: [given], open: null, sort: "relevance" });
  announce(`Searching by ${nameOf(given)}`);
}

function openTile(event) {
  const link = event.target.closest("a");
  if (!link || !isPlainClick(event)) return;
  event.preventDefault();
  const { image } = grid.results[link.closest("li").place];
  if (link.classList.contains("similar")) similar(image.id);
  else turn({ open: image.id });
}

function similar(id) {
  find("q").value = "";
  turn({ text: "", terms: [term("image", id)], open: null, cut: "auto", sort: "relevance" });
  scrollTo(0, 0);
  find("results").focus({ preventScroll: true });
}

/** Close the viewer: back where it was opened from here, so that back does not open it again. */
function close() {
  if (history.state && history.state.inside) return history.back();
  const shown = grid.active;
  turn({ open: null }, { replace: true });
  return grid.focus(shown);
}

function step(by) {
  const at = grid.results.findIndex((one) => one.image.id === state.open) + by;
  const next = grid.results[at];
  if (!next || (by > 0 && at === 0)) return;
  const { inside } = history.state || {};
  turn({ open: next.image.id }, { replace: true });
  history.replaceState({ ...history.state, inside }, "");
  grid.reveal(at);
  grid.activate(at);
  if (at > grid.results.length - 20) need();
}

function returned(values, kept) {
  clearTimeout(typing);
  forgetPlace();
  draft = false;
  const wanted = values.get("collection") || find("collection").dataset.usual;
  const before = signature(state);
  // One that came or went meanwhile is the server's to show.
  if (![...find("collection").options].some((one) => one.value === wanted)) return location.reload();
  find("collection").value = wanted;
  state = read(values, kept);
  // Asked for before the dialog closes: that gives the focus back to the tile by which it was opened.
  const shown = find("viewer").open && !state.open ? grid.active : -1;
  find("q").value = state.text;
  show(before, kept);
  return shown >= 0 ? grid.focus(shown) : null;
}

export function begin() {
  history.scrollRestoration = "manual";
  grid = new Grid(find("found"), { tile: tileOf(() => state), need });
  beginViewer({ state: () => state, results: () => (feed ? feed.results : []), step, close, similar,
    mix: (one) => turn({ terms: [...state.terms, one], open: null }) });
  find("q").addEventListener("input", () => typed(false));
  find("q").addEventListener("change", () => { draft = false; });
  find("search").addEventListener("submit", (event) => { event.preventDefault(); typed(true); });
  find("collection").addEventListener("change", () => turn({ open: null, filters: none(), terms: state.terms.filter((one) => one.kind !== "image") }));
  find("sort").addEventListener("change", (event) => turn({ sort: event.target.value }));
  find("collapse").addEventListener("change", (event) => turn({ collapse: event.target.checked }));
  find("show-all").addEventListener("click", (event) => { if (isPlainClick(event)) { event.preventDefault(); turn({ cut: "all" }); } });
  find("found").addEventListener("click", openTile);
  takeTexts(() => state.terms, (terms) => turn({ terms }));
  takeFilters(() => state.filters, (filters) => turn({ filters }));
  takeCut((cut) => turn({ cut }, { replace: typeof cut === "number" && typeof state.cut === "number" }));
  onReturn(returned);
  keepPlaces(() => grid.reach());
  const kept = history.state || {};
  state = read(here(), kept);
  show(null, kept);
  takePictures(takePicture);
}
