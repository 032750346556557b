// The view that reviews: one image after the other, decided by a key, a click or a touch. The address says which set.

import { addressOf, go, here, onReturn } from "./address.js";
import { button, count, find, isPlainClick, make, notice, say, tell, toast } from "./elements.js";
import { stage } from "./review_stage.js";
import { keepFor, may } from "./scopes.js";
import { api, ask, collection, thumbnail } from "./server.js";

const PAGE = 20;
const AHEAD = 3;

let run = null; // of the set that is open: {set, entries, at, decided, figures, next, labels, mode}

export function begin() {
  find("taggings").addEventListener("click", (event) => follow(event, event.target.closest("a[data-open]")));
  find("leave").addEventListener("click", (event) => follow(event, event.currentTarget));
  document.addEventListener("keydown", (event) => run && run.stage && run.stage.key(event));
  onReturn(show);
  document.body.dataset.ready = "yes";
  show();
}

function follow(event, link) {
  if (!link || !isPlainClick(event)) return;
  event.preventDefault();
  go(link.dataset.open ? { set: link.dataset.open, collection: collection() } : { collection: collection() });
  show();
}

async function show() {
  const set = here().get("set");
  run = null;
  find("taggings").hidden = Boolean(set);
  find("queue").hidden = !set;
  document.title = set ? `${set}: review – clipsearch` : "Review – clipsearch";
  if (!set) return;
  const mine = (run = { set, entries: [], at: 0, decided: [], next: null, work: Promise.resolve(), stage: null });
  find("queue-title").textContent = set;
  find("figures").textContent = "";
  find("stage").replaceChildren(make("div", { className: "skeleton tall", role: "status", "aria-label": "Loading" }));
  try {
    const [queue, info] = await Promise.all([ask(page(mine)), ask(`/api/v1/label-sets/${encodeURIComponent(set)}`)]);
    if (run !== mine) return;
    Object.assign(mine, { entries: queue.entries, next: queue.next, figures: { ...queue.figures }, mode: queue.mode, labels: info.labels.map((one) => one.name) });
    mine.stage = stage(mine, { decide, undo, move });
    draw(mine);
  } catch (error) {
    if (run === mine) cannot(error);
  }
}

const page = ({ set, next }) => api(`/review/${encodeURIComponent(set)}?limit=${PAGE}${next ? `&after=${next}` : ""}`);

function draw(mine) {
  if (run !== mine) return;
  progress(mine);
  const entry = mine.entries[mine.at];
  if (!entry) return void empty(mine);
  mine.stage.show(entry, find("stage"));
  // What comes next is fetched while this one is looked at.
  for (const one of mine.entries.slice(mine.at + 1, mine.at + 1 + AHEAD)) new Image().src = thumbnail(one.image, 960);
  if (mine.next && mine.entries.length - mine.at <= AHEAD + 2) more(mine);
}

function progress({ figures }) {
  const all = figures.reviewed + figures.waiting;
  Object.assign(find("progress"), { max: Math.max(1, all), value: figures.reviewed });
  const agreed = figures.share_accepted === null ? "" : `, ${Math.round(100 * figures.share_accepted)} % accepted`;
  say(`${figures.reviewed.toLocaleString("en")} of ${all.toLocaleString("en")} reviewed${agreed}`, { place: find("figures") });
}

async function more(mine) {
  const after = page(mine);
  mine.next = null;
  try {
    const queue = await ask(after);
    const known = new Set(mine.entries.map((one) => one.image.id));
    mine.entries.push(...queue.entries.filter((one) => !known.has(one.image.id)));
    mine.next = queue.next;
    if (mine.at >= mine.entries.length - queue.entries.length) draw(mine);
  } catch (error) {
    tell(error, () => more(mine));
  }
}

/** Decide on the image that is shown: {decision, labels}. The next one is shown at once, and the server told meanwhile. */
function decide(body) {
  const mine = run, entry = mine.entries[mine.at];
  if (!entry || !may("write")) return;
  mine.entries.splice(mine.at, 1);
  mine.decided.push(entry);
  note(mine, body.decision, 1);
  announce(body, entry);
  send(mine, entry, body, () => {
    // It was not kept: it comes back to where it can be decided again.
    mine.decided.splice(mine.decided.indexOf(entry), 1);
    mine.entries.splice(mine.at, 0, entry);
    note(mine, body.decision, -1);
    draw(mine);
  });
  entry.verdict = body.decision;
  draw(mine);
}

/** Take the last decision back, and show its image again. */
function undo() {
  const mine = run, entry = mine.decided.pop();
  if (!entry) return void toast("There is nothing to take back.");
  note(mine, entry.verdict, -1);
  mine.entries.splice(mine.at, 0, entry);
  find("said").textContent = "Taken back.";
  send(mine, entry, { decision: "undo" }, () => {
    mine.entries.splice(mine.entries.indexOf(entry), 1);
    mine.decided.push(entry);
    note(mine, entry.verdict, 1);
    draw(mine);
  });
  draw(mine);
}

function move(by) {
  const mine = run, to = mine.at + by;
  if (to < 0 || to >= mine.entries.length) return;
  mine.at = to;
  draw(mine);
}

/** One after the other, so that an undo never overtakes what it takes back. */
function send(mine, entry, body, failed) {
  const address = api(`/review/${encodeURIComponent(mine.set)}/${entry.image.id}`);
  mine.work = mine.work.then(() => ask(address, { json: body })).catch((error) => {
    tell(error);
    failed();
  });
}

const WORDS = { accept: "accepted", correct: "corrected", skip: "skipped" };

function note({ figures }, decision, by) {
  figures.reviewed += by;
  figures.waiting -= by;
  figures[WORDS[decision]] += by;
  const all = figures.accepted + figures.corrected;
  figures.share_accepted = all ? figures.accepted / all : null;
}

function announce({ decision, labels }, entry) {
  const what = decision === "skip" ? "Skipped" : (decision === "accept" ? entry.labels : labels).join(", ") || "None of the labels";
  find("said").textContent = `${what}.`;
}

async function empty(mine) {
  if (mine.at > 0 && mine.entries.length) {
    mine.at = mine.entries.length - 1;
    return draw(mine);
  }
  if (mine.next) return undefined; // more is on its way
  await mine.work;
  if (run !== mine || mine.entries.length) return undefined;
  const { reviewed } = mine.figures;
  const command = `clipsearch export ${quoted(mine.set)} ${quoted(mine.set.replace(/[^\w.-]/g, "_"))} --collection ${quoted(collection())}`;
  find("stage").replaceChildren(
    notice(reviewed ? "All reviewed" : "Nothing waits here", reviewed ? `You looked at ${count(reviewed, "image")}. The queue is empty.` : "No image is tagged with this set yet.",
      mine.decided.length ? button("Take the last one back", undo) : null,
      make("a", { className: "button", href: addressOf({ collection: collection() }, "/folders"), textContent: "Index more images" }),
      make("a", { className: "button main", href: `${api("/export")}?label_set=${encodeURIComponent(mine.set)}&format=csv`, textContent: "Download the labels" })),
    make("div", { className: "notice" }, make("p", { textContent: "Or write them as a dataset, with the pictures:" }), make("pre", { className: "command", textContent: command })));
  return undefined;
}

const quoted = (text) => (/^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function cannot(error) {
  const again = error.status === 409 ? button("Tag anew", anew, "main") : error.again ? button("Try again", show, "main") : "";
  if (error.status === 409) keepFor("write", again);
  const way = error.signIn ? make("a", { className: "button main", href: error.signIn, textContent: "Sign in" }) : again;
  find("stage").replaceChildren(notice(error.status === 409 ? "The tags have to be made first" : "This cannot be reviewed", error.message, way,
    make("a", { className: "button", href: addressOf({ collection: collection() }, "/labels"), textContent: "Label sets" })));
}

async function anew() {
  say("Tagging…", { place: find("figures") });
  try {
    await ask(api("/tags"), { json: { label_set: here().get("set") } });
    show();
  } catch (error) {
    cannot(error);
  }
}
