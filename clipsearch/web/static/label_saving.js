// Save, copy, delete and look back at a label set; what others saved in between is never lost silently.

import { addressOf } from "./address.js";
import { CANCEL, dialog, field } from "./dialog.js";
import { find, make, tell, toast } from "./elements.js";
import { NAME_RULE, bodyOf, draftOf, nameFault } from "./label_draft.js";
import { ask, collection } from "./server.js";

const path = (name) => `/api/v1/label-sets/${encodeURIComponent(name)}`;

const paragraph = (text) => make("p", { textContent: text });

/** Save the draft; where the set moved on since it was opened, ask first. */
export async function save(state, ways) {
  const { draft } = state;
  if (!state.name) return create(state, ways);
  try {
    const now = await ask(path(state.name));
    if (now.version !== draft.version) return await conflict(state, ways, now);
    return await put(state, ways);
  } catch (error) {
    if (error.status === 404) return dialog("Someone deleted this label set", [paragraph("What you wrote is still here. Saving makes the set again.")],
      ["Make it again", () => put(state, ways), "main"], ["Leave it", () => {}]);
    return tell(error, () => save(state, ways));
  }
}

async function put(state, ways) {
  try {
    const saved = await ask(path(state.name), { method: "PUT", json: bodyOf(state.draft) });
    const between = saved.version > state.draft.version + 1 ? " Someone else saved just before you: History has both." : "";
    done(state, saved);
    toast(`Saved as version ${saved.version}.${between}`);
    ways.saved(saved.name);
  } catch (error) {
    tell(error, () => put(state, ways));
  }
}

function done(state, saved) {
  state.saved = draftOf(saved);
  state.gone = true; // what is open is not unsaved any more, whatever is typed until it is drawn anew
}

async function conflict(state, ways, now) {
  const { versions } = await ask(`${path(state.name)}/versions`);
  const changes = versions.filter((one) => one.version > state.draft.version).flatMap((one) => one.changes);
  dialog("Someone saved this set in between", [paragraph(`It is version ${now.version} now; you began with ${state.draft.version}. They changed:`),
    make("ul", {}, ...(changes.length ? changes : ["something that can no longer be told"]).map((one) => make("li", { textContent: one }))),
    paragraph("If you save yours, theirs stays in the history.")],
  ["Save mine", () => { state.draft.version = now.version; return put(state, ways); }, "main"],
  ["Take theirs", () => { done(state, now); ways.saved(state.name); }], ["Go on editing", () => {}]);
}

async function create(state, ways) {
  const { draft } = state;
  const name = draft.name.trim();
  if (!name) {
    toast("Give the label set a name.", { error: true });
    return find("set-name").focus();
  }
  if (nameFault(name)) return find("set-name").focus(); // the field says why
  try {
    const saved = await ask("/api/v1/label-sets", { json: { ...bodyOf(draft), name } });
    state.gone = true;
    toast(`Saved ${saved.name}.`);
    return ways.saved(saved.name);
  } catch (error) {
    if (error.status !== 409) return tell(error, () => create(state, ways));
    toast(`There is a label set ${name} already. Choose another name.`, { error: true });
    return find("set-name").focus();
  }
}

/** Save what is open under another name. */
export function saveAs(state, ways) {
  const usual = state.readOnly ? state.name.replace("builtin:", "") : `${state.name} copy`;
  const name = field("copy-name", "Name of the copy", usual);
  const copy = async () => {
    try {
      const saved = await ask("/api/v1/label-sets", { json: { ...bodyOf(state.draft), name: name.value() } });
      toast(`Copied to ${saved.name}.`);
      ways.visit({ set: saved.name });
    } catch (error) {
      name.select();
      throw error.status === 409 ? new Error("There is a set of this name. Choose another.") : error;
    }
  };
  dialog("Copy this label set", [name.element, make("p", { className: "hint", textContent: NAME_RULE })], ["Copy", copy, "main"], CANCEL);
  name.select();
}

export function remove(state, ways, isDirty) {
  dialog(`Delete ${state.name}?`, [paragraph(`Its versions, the tags that were made with it and what was decided in reviews go with it.${isDirty() ? " So does what you have not saved." : ""} This cannot be undone.`)],
    ["Delete", async () => {
      await ask(path(state.name), { method: "DELETE" });
      state.gone = true;
      ways.leave();
    }, "danger"], ["Keep it", () => {}]);
}

/** Every version with what it changed. */
export async function history(state, ways) {
  try {
    const { versions } = await ask(`${path(state.name)}/versions`);
    const row = (one) => make("li", {}, make("a", { href: addressOf({ set: state.name, version: one.version, collection: collection() }, "/labels"), textContent: `Version ${one.version}`,
      onclick: (event) => { event.preventDefault(); find("dialog").close(); ways.visit({ set: state.name, version: one.version }); } }),
    make("span", { className: "hint", textContent: ` ${new Date(one.made_at).toLocaleString("en")} · ${one.labels} labels` }),
    make("ul", { className: "hint" }, ...one.changes.map((change) => make("li", { textContent: change }))));
    dialog("History", [make("ol", { className: "versions" }, ...versions.map(row))], ["Close", () => {}]);
  } catch (error) {
    tell(error);
  }
}
