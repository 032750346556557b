// Images that are dropped or chosen go to the collection, some at a time, each with what became of it.

import { button, count, find, make, say } from "./elements.js";
import { refuseStrays, takeChoices, takeDrops, takePastes } from "./intake.js";
import { api, ask } from "./server.js";

// Few at once: a large one must not hold the rest up, and a server has a limit for one request.
const AT_ONCE = 4;
const LARGEST = 16_000_000;
// Refusals that are about what was sent: another part may be taken.
const OF_THESE = new Set([400, 413, 415, 422]);

/** Take images for the collection; `added` is called when some have come in. */
export function startUploads({ added }) {
  refuseStrays();
  const take = (files) => upload(files, added);
  takeDrops(document.body, take);
  takePastes(take);
  takeChoices(find("upload"), take);
}

async function upload(files, added) {
  const progress = make("progress", { max: files.length, value: 0, "aria-label": "Images sent" });
  const status = make("p", { className: "hint", role: "status", "aria-live": "polite" });
  const failed = make("ul", { className: "hint" });
  const leaving = new AbortController();
  const stop = button("Stop", () => leaving.abort(), "small");
  find("uploads").prepend(make("div", { className: "upload stack tight" }, make("div", { className: "row" }, status, stop), progress, failed));
  const told = { added: 0, unchanged: 0, failed: 0, refused: 0, why: "" };
  let done = 0;
  for (const part of parts(files)) {
    say(`${done} of ${count(files.length, "image")} sent`, { place: status });
    try {
      const form = new FormData();
      part.forEach((file) => form.append("image", file, file.name || "pasted image.png"));
      const { images } = await ask(api("/images"), { method: "POST", body: form, signal: leaving.signal });
      for (const [place, one] of images.entries()) {
        told[one.outcome] += 1;
        if (one.error) failed.append(make("li", { textContent: `${part[place].name}: ${one.error.reason}` }));
      }
    } catch (error) {
      if (error.name === "AbortError") break;
      // The server took none of them: that says nothing of the images, and only of these where they are at fault.
      const all = OF_THESE.has(error.status) ? part.length : files.length - done;
      Object.assign(told, { refused: told.refused + all, why: error.message });
      if (error.signIn) status.after(make("a", { className: "button small", href: error.signIn, textContent: "Sign in" }));
      done += all;
      progress.value = done;
      if (!OF_THESE.has(error.status)) break;
      continue;
    }
    done += part.length;
    progress.value = done;
  }
  stop.remove();
  say(summary(told, files.length - done), { error: told.failed + told.refused > 0 && !told.added, place: status });
  added();
}

function summary({ added, unchanged, failed, refused, why }, left) {
  const parts = [`${count(added, "image")} added`];
  if (unchanged) parts.push(`${unchanged} there already`);
  if (failed) parts.push(`${failed} could not be read`);
  if (left) parts.push(`${left} not sent`);
  if (refused) parts.push(`${refused} not taken`);
  return refused ? `${parts.join(", ")}: ${why}` : `${parts.join(", ")}.`;
}

function* parts(files) {
  let part = [], bytes = 0;
  for (const file of files) {
    if (part.length && (part.length === AT_ONCE || bytes + file.size > LARGEST)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(file);
    bytes += file.size;
  }
  if (part.length) yield part;
}
