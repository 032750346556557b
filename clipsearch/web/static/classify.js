// The view that classifies: images of the visitor or of the collection, with label sets or labels of one's own.

import { go, here, onReturn } from "./address.js";
import { BACKGROUND, bars, percent, verdict } from "./bars.js";
import { button, count, fileName, find, make, notice, say } from "./elements.js";
import { refuseStrays, takeChoices, takeDrops, takePastes } from "./intake.js";
import { api, ask, collection, thumbnail } from "./server.js";

const SHELF = 24;
const MOST = 64;
const NUMBERS = ["min_probability", "min_margin", "min_score"];

let pictures = []; // what is to be classified: {file, address, name} or {id, name, image}
let lost = ""; // what of the address cannot be brought back, in a sentence
let shelfAfter = 0;
let running = null;

const lines = (id) => find(id).value.split("\n").map((one) => one.trim()).filter(Boolean);
const ownLabels = () => [...new Set(find("labels").value.split(/[\n,]/).map((one) => one.trim()).filter(Boolean))];
const fromSets = () => document.querySelector("input[name=from]:checked").value === "sets";
const chosenSets = () => [...document.querySelectorAll("input[name=set]:checked")].map((one) => one.value);

export function begin() {
  refuseStrays();
  takeDrops(document.body, add);
  takePastes(add);
  takeChoices(find("files"), add);
  find("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    remember();
    classify();
  });
  find("ask").addEventListener("change", showFields);
  find("clear").addEventListener("click", clear);
  find("stored").addEventListener("toggle", () => find("stored").open && !find("shelf").children.length && fillShelf());
  find("shelf-more").addEventListener("click", fillShelf);
  onReturn(restore);
  document.body.dataset.ready = "yes";
  restore(here(), history.state || {});
}

/** What the address says: labels or sets, thresholds, and images of the collection. */
async function restore(said, { given = [] }) {
  const sets = said.getAll("set");
  find("labels").value = said.getAll("label").join("\n");
  for (const one of document.querySelectorAll("input[name=set]")) one.checked = sets.includes(one.value);
  for (const one of document.querySelectorAll("input[name=from]")) one.checked = one.value === (sets.length ? "sets" : "own");
  find("mode").value = ["multi", "binary"].includes(said.get("mode")) ? said.get("mode") : "single";
  find("background").value = said.getAll("background").join("\n");
  find("templates").value = said.getAll("template").join("\n");
  for (const name of NUMBERS) find(name).value = said.get(name) || "";
  find("top").value = said.get("top") || "5";
  find("advanced").open = [...NUMBERS, "mode", "background", "template"].some((name) => said.has(name));
  showFields();
  const ids = said.getAll("image").map(Number).filter(Number.isSafeInteger);
  pictures = pictures.filter((one) => one.file);
  const asked = ids.slice(0, MOST);
  const found = await Promise.allSettled(asked.map((id) => ask(api(`/images/${id}`))));
  pictures.push(...found.filter((one) => one.status === "fulfilled").map((one) => stored(one.value)));
  lost = [missing(asked, found), ungiven(given)].filter(Boolean).join(" ");
  showChosen();
  if (pictures.length && (sets.length || said.has("label"))) classify();
  else empty();
}

/** Which images of the address did not come, and why. */
function missing(ids, found) {
  const failed = found.map((one, place) => ({ id: ids[place], error: one.reason })).filter((one) => one.error);
  const gone = failed.filter((one) => one.error.status === 404).map((one) => one.id);
  const [other] = failed.filter((one) => one.error.status !== 404);
  const said = gone.length ? `${gone.length === 1 ? "Image" : "Images"} ${gone.join(", ")} ${gone.length === 1 ? "is" : "are"} not in ${collection()} (any more).` : "";
  return [said, other ? other.error.message : ""].filter(Boolean).join(" ");
}

/** Images that were given here stay in the window: after a reload only their names are left. */
function ungiven(names) {
  const held = new Set(pictures.filter((one) => one.file).map((one) => one.name));
  const gone = names.filter((one) => !held.has(one));
  return gone.length ? `Give ${gone.slice(0, 3).join(", ")}${gone.length > 3 ? ` and ${gone.length - 3} more` : ""} again: what you give is not kept.` : "";
}

const given = () => ({ given: pictures.filter((one) => one.file).map((one) => one.name) });

function remember() {
  const sets = fromSets() ? chosenSets() : [];
  go({
    collection: collection(), set: sets, label: fromSets() ? [] : ownLabels(),
    mode: fromSets() || find("mode").value === "single" ? "" : find("mode").value,
    background: fromSets() ? [] : lines("background"), template: fromSets() ? [] : lines("templates"),
    ...Object.fromEntries(NUMBERS.map((name) => [name, find(name).value])),
    top: find("top").value === "5" ? "" : find("top").value,
    image: pictures.filter((one) => one.id).map((one) => one.id),
  }, { state: given() });
}

function showFields() {
  find("own").hidden = fromSets();
  find("sets").hidden = !fromSets();
  document.querySelector(".only-own").hidden = fromSets();
  const several = fromSets() && chosenSets().length > 1;
  for (const name of NUMBERS) find(name).disabled = several;
  find("thresholds-hint").hidden = !several;
}

const stored = (image) => ({ id: image.id, name: fileName(image.uri), image, address: thumbnail(image) });

function add(files) {
  pictures.push(...files.map((file) => ({ file, name: file.name || "pasted image", address: URL.createObjectURL(file) })));
  if (pictures.length > MOST) say(`The first ${MOST} images are taken.`);
  pictures = pictures.slice(0, MOST);
  lost = "";
  go(here(), { replace: true, state: given() });
  showChosen();
  if (ready()) classify();
}

const ready = () => (fromSets() ? chosenSets().length > 0 : ownLabels().length > 1);

function showChosen() {
  find("chosen").replaceChildren(...pictures.map((one) => make("li", {},
    shown(one, 72),
    button("×", () => drop(one), "remove"))));
  for (const [place, one] of pictures.entries()) {
    find("chosen").children[place].querySelector("button").setAttribute("aria-label", `Remove ${one.name}`);
  }
  for (const one of find("shelf").querySelectorAll("button")) {
    one.setAttribute("aria-pressed", String(pictures.some((picture) => picture.id === Number(one.dataset.id))));
  }
}

function drop(picture) {
  pictures = pictures.filter((one) => one !== picture);
  if (picture.file) URL.revokeObjectURL(picture.address);
  go(here(), { replace: true, state: given() });
  showChosen();
}

function clear() {
  pictures.forEach((one) => one.file && URL.revokeObjectURL(one.address));
  [pictures, lost] = [[], ""];
  find("ask").reset();
  go({ collection: collection() });
  showFields();
  showChosen();
  empty();
}

async function fillShelf() {
  say("Loading…", { place: find("shelf-status") });
  try {
    const page = await ask(api(`/images?limit=${SHELF}${shelfAfter ? `&after=${encodeURIComponent(shelfAfter)}` : ""}`));
    shelfAfter = page.next;
    find("shelf-more").hidden = !page.next;
    find("shelf").append(...page.images.map(shelved));
    say(find("shelf").children.length ? "" : "The collection holds no images yet.", { place: find("shelf-status") });
    showChosen();
  } catch (error) {
    say(error.message, { error: true, place: find("shelf-status") });
  }
}

function shelved(image) {
  const one = stored(image);
  const toggle = make("button", { type: "button", className: "pickable", "aria-pressed": "false", "aria-label": one.name,
    dataset: { id: String(one.id) } }, make("img", { src: one.address, alt: "", loading: "lazy", width: 72, height: 72 }));
  toggle.addEventListener("click", () => {
    const there = pictures.find((picture) => picture.id === one.id);
    if (there) drop(there);
    else if (pictures.length < MOST) pictures.push(one);
    showChosen();
  });
  return make("li", {}, toggle);
}

function asked() {
  const found = { top: Number(find("top").value) || 5 };
  if (chosenSets().length < 2 || !fromSets()) {
    for (const name of NUMBERS) if (find(name).value !== "") found[name] = Number(find(name).value);
  }
  if (fromSets()) return found;
  return { ...found, labels: ownLabels(), mode: find("mode").value, background: lines("background"), templates: lines("templates") };
}

/** One answer for each label set, for these pictures. */
function answers(files, ids, signal) {
  const sets = fromSets() ? chosenSets() : [null];
  const calls = [];
  if (files.length) calls.push(upload(files, sets, signal));
  if (ids.length) calls.push(Promise.all(sets.map((set) => ask(api("/classify"), { json: { ...asked(), image_ids: ids, ...(set ? { label_set: set } : {}) }, signal }))));
  return Promise.all(calls).then((found) => sets.map((set, place) => ({
    set, results: found.flatMap((one) => one[place].results), failed: found.flatMap((one) => one[place].failed),
    warnings: [...new Set(found.flatMap((one) => one[place].warnings))],
  })));
}

async function upload(files, sets, signal) {
  const form = new FormData();
  const several = sets.length > 1;
  for (const [name, value] of Object.entries(asked())) {
    if (several && name !== "top") continue;
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, one);
  }
  for (const set of sets) if (set) form.append(several ? "label_sets" : "label_set", set);
  if (find("collection").selectedOptions[0].dataset.missing !== "yes") form.append("collection", collection());
  // Numbered, because two images may have one name.
  files.forEach((one, place) => form.append("image", one.file, `${place} ${one.name}`));
  const answer = await ask(several ? "/api/v1/classify/sets" : "/api/v1/classify", { method: "POST", body: form, signal });
  return several ? answer.answers : [answer];
}

async function classify() {
  if (!pictures.length) return say("Choose the images to classify.", { error: true });
  if (!ready()) return say(fromSets() ? "Choose at least one label set." : "Give at least two labels to choose from.", { error: true });
  if (running) running.abort();
  const mine = (running = new AbortController());
  const files = pictures.filter((one) => one.file), ids = pictures.filter((one) => one.id);
  say("Classifying…");
  find("results").classList.add("waiting");
  try {
    const found = await answers(files, ids.map((one) => one.id), mine.signal);
    show(found, files, ids);
    const warnings = [...new Set(found.flatMap((one) => one.warnings))];
    const failed = new Set(found.flatMap((one) => one.failed.map((failure) => failure.image_id || failure.uri))).size;
    say([`${count(files.length + ids.length - failed, "image")} classified${failed ? `, ${failed} not` : ""}.`, lost, ...warnings].filter(Boolean).join(" "));
  } catch (error) {
    if (error.name === "AbortError") return;
    say(error.message, { error: true });
    find("results").replaceChildren(notice("That did not work", error.message,
      error.signIn ? make("a", { className: "button main", href: error.signIn, textContent: "Sign in" }) : error.again === false ? "" : button("Try again", classify, "main")));
  } finally {
    if (running === mine) find("results").classList.remove("waiting");
  }
}

function show(found, files, ids) {
  const cards = [...files.map((one, place) => [one, (result) => !result.image_id && Number.parseInt(result.uri, 10) === place]),
    ...ids.map((one) => [one, (result) => result.image_id === one.id])];
  find("results").replaceChildren(...cards.map(([picture, is]) => make("article", { className: "card classified" },
    shown(picture, 160),
    make("div", { className: "stack tight" }, make("h2", { className: "name", textContent: picture.name, title: picture.name }),
      ...blocks(found, is)))));
}

/** What each label set says of an image; one line where none can say anything, for the same reason. */
function blocks(found, is) {
  const reasons = new Set(found.map((answer) => answer.results.find(is) ? "" : answer.failed.find(is)?.reason ?? ""));
  const [reason] = reasons;
  if (reasons.size === 1 && reason) return [make("p", { className: "error", textContent: reason })];
  return found.map((answer) => block(answer, answer.results.find(is), answer.failed.find(is)));
}

/** The image, or in its place its name where the browser cannot show it. */
function shown(picture, size) {
  const image = make("img", { src: picture.address, alt: size > 72 ? "" : picture.name, width: size, height: size });
  image.addEventListener("error", () => image.replaceWith(make("span", { className: "no-picture", textContent: picture.name })), { once: true });
  return image;
}

function block(answer, result, failure) {
  const heading = answer.set ? make("h3", { className: "set-name", textContent: answer.set }) : null;
  if (!result) return make("div", {}, heading, make("p", { className: "error", textContent: failure ? failure.reason : "There is no answer." }));
  return make("div", { className: "block" }, heading, verdict(result), bars(result.predictions),
    result.categories.length ? make("p", { className: "hint", textContent:
      `By category: ${result.categories.slice(0, 4).map((one) => `${one.category} ${percent(one.probability)}`).join(", ")}` }) : null);
}

function empty() {
  say(lost);
  find("results").replaceChildren(notice("Nothing to look at yet", `Give images and labels. Where none of the labels may fit, say under “Advanced” what ${BACKGROUND} may be.`));
}
