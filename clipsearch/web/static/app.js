// The entry of every view: starts the one that the page names, and what all pages have in common.
// No build step and no library; every module is a file of this folder.

import { find } from "./elements.js";

const VIEWS = ["search", "classify", "labels", "review", "folders"];
const { view } = document.body.dataset;

// Without JavaScript the chooser has a button; with it the choice itself is enough.
const chooser = find("collection");
if (chooser && chooser.form.id === "collection-form") chooser.addEventListener("change", () => chooser.form.requestSubmit());

if (VIEWS.includes(view)) {
  import(`./${view}.js`).then((module) => module.begin && module.begin());
}
