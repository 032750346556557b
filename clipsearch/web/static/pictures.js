// Images that visitors give: chosen, dropped or pasted. They stay in this window: an address holds their names only.

import { find } from "./elements.js";
import { watchDrags } from "./intake.js";
import { term } from "./query.js";

const largest = Number(document.body.dataset.maxUpload);
const MOST = 20; // images are held while one may come back to them; of more, the last ones
const held = new Map();
let counted = 0;

/** A term for a file, or null where it is no image or too large; `refuse` is told why. */
export function pictureTerm(file, refuse) {
  if (!file) refuse("That is no image.");
  else if (file.size > largest) refuse(`The image is too large: at most ${Math.floor(largest / 1e6)} MB.`);
  else {
    // Never again the key of another image, also after a reload: the history keeps keys longer than we keep images.
    const key = `${Date.now()}.${(counted += 1)}`;
    held.set(key, { file, preview: URL.createObjectURL(file) });
    if (held.size > MOST) free(held.keys().next().value);
    return term("picture", file.name || "pasted image", 1, { key });
  }
  return null;
}

function free(key) {
  URL.revokeObjectURL(held.get(key).preview);
  held.delete(key);
}

/** The preview's address, null where the image is not held (any more). */
export const previewOf = (one) => held.get(one.key)?.preview ?? null;

/** Whether a term is an image that only its name is left of: after a reload, or in a link that was sent. */
export const isLost = (one) => one.kind === "picture" && !held.has(one.key);

/** The image as a data URL, which the API takes as base64. */
export async function dataOf(one) {
  const picture = held.get(one.key);
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${one.value} cannot be read.`));
    reader.readAsDataURL(picture.file);
  });
}

/** Take images from the file chooser, the clipboard and from being dropped anywhere on the page. */
export function takePictures(take) {
  const chooser = find("picture");
  find("choose").addEventListener("click", () => chooser.click());
  const chosen = () => {
    const [file] = chooser.files;
    chooser.value = "";
    if (file) take(file);
  };
  chooser.addEventListener("change", chosen);
  chosen(); // what was chosen before this was loaded
  document.addEventListener("paste", (event) => {
    const file = imageIn(event.clipboardData);
    if (file) take(file);
  });

  const veil = find("drop");
  watchDrags(document, (on) => { veil.hidden = !on; }, (event) => take(imageIn(event.dataTransfer)));
}

const imageIn = (given) => [...((given && given.files) || [])].find((file) => file.type.startsWith("image/") || !file.type) || null;
