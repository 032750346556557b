// Images that stand for a label: dropped or chosen here, made known to the server at once, saved with the set.

import { button, fileName, make, tell } from "./elements.js";
import { takeChoices, takeDrops } from "./intake.js";
import { api, ask, collection, thumbnail } from "./server.js";

// Pictures of examples by digest: of files that were given here, or of images of the collection.
const pictures = new Map();
const AT_ONCE = 60;

/** The examples of a label: {element, takeFrom}; `takeFrom` has a whole card take what is dropped on it. */
export function exampleStrip(label, { changed, readOnly }) {
  const list = make("ul", { className: "thumbs" });
  const id = `examples-${label.key}`;
  const field = make("input", { id, type: "file", accept: "image/*", multiple: true, className: "unseen" });
  const status = make("span", { className: "hint", role: "status" });
  const element = make("div", { className: "examples" }, list,
    readOnly ? null : make("span", { className: "row" }, field, make("label", { htmlFor: id, className: "button small", textContent: "Add examples…" }), make("span", { className: "hint", textContent: "or drop images here" }), status));

  function draw() {
    list.replaceChildren(...label.examples.map((one) => {
      const image = make("img", { alt: fileName(one.uri), title: fileName(one.uri), width: 72, height: 72, loading: "lazy" });
      show(image, one);
      const take = readOnly ? null : button("×", () => {
        label.examples = label.examples.filter((other) => other.digest !== one.digest);
        draw();
        changed();
      }, "remove");
      if (take) take.setAttribute("aria-label", `Remove the example ${fileName(one.uri)}`);
      return make("li", {}, image, take);
    }));
  }
  async function take(files) {
    let done = 0;
    try {
      while (done < files.length) {
        status.textContent = files.length > AT_ONCE ? `Looking at them, ${done} of ${files.length} so far…` : "Looking at them…";
        const part = files.slice(done, done + AT_ONCE);
        await keep(part);
        done += part.length;
      }
    } catch (error) {
      tell(error, () => take(files.slice(done)));
    } finally {
      status.textContent = "";
    }
  }
  async function keep(files) {
    const form = new FormData();
    form.append("collection", collection());
    files.forEach((file) => form.append("image", file, file.name || "pasted image"));
    const { examples } = await ask("/api/v1/examples", { method: "POST", body: form });
    examples.forEach((one, place) => pictures.set(one.digest, URL.createObjectURL(files[place])));
    add(label, examples);
    draw();
    changed();
  }
  label.drawExamples = draw;
  if (!readOnly) takeChoices(field, take);
  draw();
  return { element, takeFrom: (card) => !readOnly && takeDrops(card, take) };
}

/** Have an image of the collection stand for a label. */
export async function addStored(label, image) {
  const { examples } = await ask("/api/v1/examples", { json: { image_ids: [image.id], collection: collection() } });
  pictures.set(examples[0].digest, thumbnail(image));
  add(label, examples);
  if (label.drawExamples) label.drawExamples();
}

function add(label, examples) {
  const known = new Set(label.examples.map((one) => one.digest));
  label.examples.push(...examples.filter((one) => !known.has(one.digest)));
}

async function show(image, example) {
  if (!pictures.has(example.digest)) pictures.set(example.digest, await found(example));
  const address = pictures.get(example.digest);
  if (address) image.src = address;
  else image.replaceWith(make("span", { className: "no-picture", textContent: fileName(example.uri), title: "The image is not in this collection" }));
}

/** The thumbnail of an example that is an image of the collection, else null. */
async function found({ uri, digest }) {
  try {
    const page = await ask(api(`/images?path_prefix=${encodeURIComponent(uri)}&limit=1`));
    const [image] = page.images;
    return image && image.content_hash === digest ? thumbnail(image) : null;
  } catch {
    return null;
  }
}
