// Takes images that a visitor chooses, drops or pastes, and says what is wrong with those that cannot be taken.

import { toast } from "./elements.js";

const maxUpload = Number(document.body.dataset.maxUpload);
// Most systems say nothing of the type of a raw or HEIF file: what has none is left to the server.
const LOOKS_LIKE_IMAGE = /\.(avif|bmp|cr2|cr3|dng|gif|heic|heif|jpe?g|jxl|nef|orf|arw|raf|png|tiff?|webp)$/i;

const isImage = (file) => file.type.startsWith("image/") || !file.type || LOOKS_LIKE_IMAGE.test(file.name);

/** Those of the files that can be taken; what cannot is told in one note. */
export function usable(files) {
  const given = [...(files || [])];
  const images = given.filter(isImage);
  const small = images.filter((file) => file.size <= maxUpload);
  const said = [];
  if (images.length < given.length) said.push(left(given.length - images.length, "no image", "no images"));
  if (small.length < images.length) {
    said.push(`${left(images.length - small.length, "too large", "too large")} (${Math.floor(maxUpload / 1e6)} MB at most)`);
  }
  if (said.length) toast(`Left out: ${said.join(", ")}.`, { error: true });
  return small;
}

const left = (number, one, many) => `${number} ${number === 1 ? one : many}`;

const hasFiles = (event) => [...(event.dataTransfer ? event.dataTransfer.types : [])].includes("Files");

/** While files are dragged over an element, `mark(true)`; `dropped` gets the event that brings them. */
export function watchDrags(zone, mark, dropped) {
  let depth = 0;
  zone.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    mark(true);
  });
  zone.addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) mark(false);
  });
  zone.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  zone.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    depth = 0;
    mark(false);
    dropped(event);
  });
}

/** Take what is dropped on an element; `take` gets a list of files that is not empty. */
export function takeDrops(zone, take) {
  watchDrags(zone, (on) => zone.classList.toggle("over", on), (event) => give(event.dataTransfer.files, take));
}

/** Take what is pasted anywhere on the page but into a field. */
export function takePastes(take) {
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData && event.clipboardData.files;
    if (!files || !files.length) return;
    event.preventDefault();
    give(files, take);
  });
}

/** Take what is chosen with this field for files, also before this was loaded. */
export function takeChoices(field, take) {
  const taken = () => {
    const files = [...field.files];
    field.value = "";
    give(files, take);
  };
  field.addEventListener("change", taken);
  if (field.files.length) taken();
}

/** A file that misses every zone must not take the page's place. */
export function refuseStrays() {
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => hasFiles(event) && event.preventDefault());
}

function give(files, take) {
  const images = usable(files);
  if (images.length) take(images);
}
