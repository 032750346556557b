// The view of label sets: their list, and which of them is open in the editor. The address says which.

import { addressOf, go, here, onReturn } from "./address.js";
import { button, find, isPlainClick, make, notice, tell } from "./elements.js";
import { refuseStrays } from "./intake.js";
import { draftOf } from "./label_draft.js";
import { openEditor } from "./label_editor.js";
import { may } from "./scopes.js";
import { ask, collection } from "./server.js";

// What was changed and not saved, by the address that shows it: going back and forward loses nothing.
const kept = new Map();
let opened = null; // {place, editor} that is shown
let asked = 0;

const isBuiltIn = (name) => name.startsWith("builtin:");

export function begin() {
  refuseStrays();
  find("list").addEventListener("click", (event) => {
    const link = event.target.closest("a[data-open], a#new");
    if (!link || !isPlainClick(event)) return;
    event.preventDefault();
    visit(link.dataset.open ? { set: link.dataset.open } : { new: true });
  });
  if (find("import")) find("import").addEventListener("change", importFile);
  addEventListener("beforeunload", (event) => {
    if ([...kept.values()].some((one) => one.dirty()) || (opened && opened.editor.dirty())) event.preventDefault();
  });
  onReturn(show);
  document.body.dataset.ready = "yes";
  show();
}

/** Go to a set (or the list, with nothing), as a new entry of the history. */
function visit(what, options) {
  go({ ...what, collection: collection() }, options);
  return show();
}

const placeOf = (said) => (said.get("new") ? "new" : said.get("set") ? `set ${said.get("set")} ${said.get("version") || ""}` : "");

async function show() {
  const said = here();
  const place = placeOf(said);
  if (opened && opened.editor.dirty()) kept.set(opened.place, opened.editor);
  if (opened) opened.editor.close();
  opened = null;
  asked += 1;
  const mine = asked;
  find("list").hidden = Boolean(place);
  find("editor").hidden = !place;
  if (!place) return (document.title = "Labels – clipsearch");
  const before = kept.get(place);
  kept.delete(place);
  if (before && before.dirty()) return open(place, before.state());
  find("editor").replaceChildren(make("h1", { textContent: said.get("set") || "New label set" }), make("div", { className: "skeleton tall", role: "status", "aria-label": "Loading" }));
  try {
    const state = await stateOf(said);
    if (mine === asked) open(place, state);
  } catch (error) {
    if (mine !== asked) return null;
    find("editor").replaceChildren(make("h1", { textContent: said.get("set") || "Label set" }), notice("This label set cannot be shown", error.message, back(),
      again(error)));
  }
  return null;
}

const back = () => make("a", { className: "button", href: addressOf({ collection: collection() }), textContent: "All label sets" });

/** A way on from an error; nothing where the same would be refused again. */
function again(error) {
  if (error.signIn) return make("a", { className: "button main", href: error.signIn, textContent: "Sign in" });
  return error.again ? button("Try again", show, "main") : "";
}

/** What the editor starts from: the draft, and what it is compared with. */
async function stateOf(said) {
  if (said.get("new") && !may("write")) throw new Error("Your key may read only: to make label sets, sign in with one that may write.");
  if (said.get("new")) return { draft: draftOf(), saved: draftOf(), name: "" };
  const name = said.get("set");
  if (isBuiltIn(name)) {
    const all = await ask("/api/v1/built-in-label-sets");
    const found = all.label_sets.find((one) => one.name === name);
    if (!found) throw new Error(`There is no label set ${name}.`);
    return { draft: draftOf(found), saved: draftOf(found), name, readOnly: true };
  }
  const path = `/api/v1/label-sets/${encodeURIComponent(name)}`;
  const now = await ask(path);
  const version = Number(said.get("version"));
  if (!version || version === now.version) return { draft: draftOf(now), saved: draftOf(now), name, warnings: now.warnings };
  const then = await ask(`${path}?version=${version}`);
  // An old version is shown as a change of the one that stands: to save it is to bring it back.
  return { draft: { ...draftOf(then), version: now.version }, saved: draftOf(now), name, version };
}

function open(place, state) {
  document.title = `${state.name || "New label set"} – clipsearch`;
  const editor = openEditor(find("editor"), state, { visit, saved: (name) => visit({ set: name }, { replace: true }), leave: () => location.assign(addressOf({ collection: collection() }, "/labels")) });
  opened = { place, editor };
  scrollTo({ top: 0 });
}

async function importFile() {
  const [file] = find("import").files;
  find("import").value = "";
  if (!file) return;
  try {
    const suffix = file.name.split(".").pop().toLowerCase();
    const form = { yaml: "yaml", yml: "yaml", json: "json", csv: "csv" }[suffix] || "lines";
    const read = await ask("/api/v1/label-files", { json: { text: await file.text(), form, name: file.name } });
    go({ new: true, collection: collection() });
    find("list").hidden = true;
    find("editor").hidden = false;
    const name = file.name.replace(/\.[^.]*$/, "").slice(0, 100);
    const left = read.left_out.length ? [`Left out, since their files stayed with you: ${read.left_out.join(", ")}. Drop them onto their labels.`] : [];
    open("new", { draft: { ...draftOf(read.label_set), name }, saved: draftOf(), name: "", warnings: [...read.label_set.warnings, ...left] });
  } catch (error) {
    tell(error);
  }
}
