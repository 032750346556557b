// The page's only script: searches without a new page, images dropped, pasted or chosen, classification.
// Whatever came from a file, a label or the server is put in as text, never as markup.

const find = (id) => document.getElementById(id);
const pageHits = Number(document.body.dataset.pageHits);
const maxUpload = Number(document.body.dataset.maxUpload);
const THUMBNAIL = 320;
const LARGEST_PAGE = 10000;
const BACKGROUND = "something else";
const REASONS = {
  background: "something else fits better",
  score: "the score is below its threshold",
  probability: "the probability is below its threshold",
  margin: "the second label is too near",
};

let asked = null; // what the grid shows: {text} or {similar} or {picture}, with all: true nothing is left out
let running = null; // the request that is under way
let preview = null; // address of the picture that was given

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function say(text, isError = false, place = find("status")) {
  place.textContent = text;
  place.classList.toggle("error", isError);
}

const collection = () => find("collection").value;
const api = (path) => `/api/v1/collections/${encodeURIComponent(collection())}${path}`;
const fileName = (uri) => uri.split("/").pop() || uri;

async function ask(address, options = {}) {
  const response = await fetch(address, options);
  const isJson = (response.headers.get("Content-Type") || "").includes("json");
  const body = isJson ? await response.json() : {};
  if (!response.ok) throw new Error(body.detail || `The server answered ${response.status}.`);
  return body;
}

function inWords(error) {
  return error instanceof TypeError ? "The server cannot be reached. Is it still running?" : error.message;
}

function fitted({ width, height }) {
  if (!width || !height) return [THUMBNAIL, THUMBNAIL];
  const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

function meaning({ relevance }) {
  return relevance === null ? "cosine similarity" : `cosine similarity; relevance ${relevance.toFixed(2)}`;
}

function tile(hit, inCollection) {
  const { id, uri, content_hash: hash } = hit.image;
  const base = `/api/v1/collections/${encodeURIComponent(inCollection)}/images/${id}`;
  const [width, height] = fitted(hit.image);
  const image = make("img", { width, height, loading: "lazy", decoding: "async", alt: fileName(uri) });
  const version = (hash || "").slice(0, 16);
  image.src = `${base}/thumbnail?v=${version}`;
  const large = make("a", { className: "large", target: "_blank" }, image);
  large.href = `${base}/thumbnail?size=960&v=${version}`;
  const link = make("a", { className: "similar", textContent: "similar" });
  link.href = `/?similar=${id}&collection=${encodeURIComponent(inCollection)}`;
  return make("li", { className: "tile" }, large,
    make("div", { className: "name", title: uri, textContent: fileName(uri) }),
    make("div", { className: "row" },
      make("span", { className: "score", title: meaning(hit), textContent: hit.score.toFixed(3) }), link));
}

function request(what, offset) {
  const page = `k=${pageHits}&offset=${offset}&auto_cut=${!what.all}`;
  if (what.picture) {
    const form = new FormData();
    form.append("image", what.picture, what.picture.name || "pasted image");
    form.append("k", String(pageHits));
    form.append("offset", String(offset));
    form.append("auto_cut", String(!what.all));
    return [api("/search/image"), { method: "POST", body: form }];
  }
  if (what.similar) return [api(`/images/${what.similar}/similar?${page}`), {}];
  return [api(`/search?text=${encodeURIComponent(what.text)}&${page}`), {}];
}

function showAsked(what) {
  if (preview) URL.revokeObjectURL(preview);
  preview = what.picture ? URL.createObjectURL(what.picture) : null;
  const place = find("asked");
  place.replaceChildren();
  place.hidden = Boolean(what.text);
  if (preview) place.append(make("img", { src: preview, alt: "" }), `Images like ${what.picture.name || "the pasted one"}`);
  if (what.similar) place.append(`Images like number ${what.similar}`);
}

function summary(answer, count) {
  if (answer.notice && !count) return answer.notice;
  const parts = [count === 1 ? "1 image" : count < pageHits ? `${count} images` : `the first ${count} images`];
  if (answer.unknown_words.length) parts.push(`the model never saw: ${answer.unknown_words.join(", ")}`);
  if (answer.truncated) parts.push("the text was longer than the model reads");
  return parts.join("; ");
}

function showCut(answer, what) {
  find("cut").hidden = !(answer.cut && answer.cut.left_out);
  find("show-all").href = addressOf({ ...what, all: true });
}

async function search(what, more = false) {
  if (what.picture && what.picture.size > maxUpload) {
    say(`The image is too large: at most ${Math.floor(maxUpload / 1e6)} MB.`, true);
    return;
  }
  if (running) running.abort();
  const mine = (running = new AbortController());
  const grid = find("grid");
  asked = what;
  if (!more) showAsked(what);
  say("Searching…");
  grid.classList.add("waiting");
  try {
    const offset = more ? grid.children.length : 0;
    const [address, options] = request(what, offset);
    const answer = await ask(address, { ...options, signal: mine.signal });
    const tiles = answer.hits.map((hit) => tile(hit, answer.collection));
    if (more) grid.append(...tiles); else grid.replaceChildren(...tiles);
    say(summary(answer, grid.children.length));
    showCut(answer, what);
    find("more").hidden = answer.hits.length < pageHits || grid.children.length + pageHits > LARGEST_PAGE;
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!more) grid.replaceChildren();
    find("more").hidden = true;
    find("cut").hidden = true;
    say(inWords(error), true);
  } finally {
    if (running === mine) {
      running = null;
      grid.classList.remove("waiting");
    }
  }
}

function addressOf(what) {
  const values = new URLSearchParams();
  if (what.text) values.set("q", what.text);
  if (what.similar) values.set("similar", what.similar);
  if (what.all) values.set("all", "1");
  values.set("collection", collection());
  return `/?${values}`;
}

function go(what) {
  document.title = what.text ? `${what.text} – clipsearch` : "clipsearch";
  // A picture cannot stand in an address: going back from one shows what was before it.
  history.pushState({}, "", addressOf(what));
  search(what);
}

function fromAddress() {
  const values = new URLSearchParams(location.search);
  const all = values.get("all") === "1";
  if (values.get("similar")) return { similar: values.get("similar"), all };
  return values.get("q") ? { text: values.get("q"), all } : null;
}

function restore() {
  const values = new URLSearchParams(location.search);
  const wanted = values.get("collection");
  if (wanted && [...find("collection").options].some((one) => one.value === wanted)) find("collection").value = wanted;
  find("q").value = values.get("q") || "";
  const what = fromAddress();
  if (what) {
    search(what);
    return;
  }
  if (running) running.abort();
  asked = null;
  find("grid").replaceChildren();
  find("asked").hidden = true;
  find("more").hidden = true;
  find("cut").hidden = true;
  say("Say what to look for, or give an image.");
}

const isPlainClick = (event) => event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
const pictureIn = (files) => [...(files || [])].find((file) => file.type.startsWith("image/") || !file.type);

function searchByPicture(file) {
  if (!file) {
    say("That is no image.", true);
    return;
  }
  find("q").value = "";
  go({ picture: file });
}

function bars(predictions) {
  return make("ol", { className: "bars" }, ...predictions.map((one) => make("li", {},
    make("span", { textContent: one.label ?? BACKGROUND }),
    make("progress", { max: 1, value: one.probability, ariaLabel: one.label ?? BACKGROUND }),
    make("span", { textContent: `${(100 * one.probability).toFixed(1)} %` }))));
}

function verdict(result) {
  const text = result.labels.length ? result.labels.join(", ") : `none of them: ${REASONS[result.rejected]}`;
  return make("p", { className: "verdict", textContent: text });
}

async function classify(files) {
  const status = find("classify-status");
  const labelSet = find("label-set").value;
  const labels = find("labels").value.split(/[\n,]/).map((one) => one.trim()).filter(Boolean);
  if (!files.length) return say("Choose the images to classify.", true, status);
  if (!labelSet && labels.length < 2) return say("Give at least two labels to choose from.", true, status);
  const form = new FormData();
  if (labelSet) form.append("label_set", labelSet);
  else for (const label of labels) form.append("labels", label);
  // Numbered, because two images may have one name.
  files.forEach((file, position) => form.append("image", file, `${position} ${file.name}`));
  if (find("collection").selectedOptions[0].dataset.missing !== "yes") form.append("collection", collection());
  say("Classifying…", false, status);
  try {
    const answer = await ask("/api/v1/classify", { method: "POST", body: form });
    const place = find("classified");
    place.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
    place.replaceChildren(
      ...answer.results.map((result) => {
        const file = files[Number.parseInt(result.uri, 10)];
        return make("div", { className: "classified" },
          make("img", { src: URL.createObjectURL(file), alt: "", width: 112, height: 112 }),
          make("div", {}, make("strong", { textContent: file.name }), verdict(result), bars(result.predictions)));
      }),
      ...answer.failed.map((one) => make("div", { className: "classified" },
        make("div", {}, make("strong", { textContent: one.uri.replace(/^\d+ /, "") }), ` – ${one.reason}`))));
    say(answer.warnings.join("; "), false, status);
  } catch (error) {
    say(inWords(error), true, status);
  }
}

function begin() {
  for (const element of document.querySelectorAll(".with-script")) element.hidden = false;
  asked = fromAddress();
  find("more").hidden = !asked || find("grid").children.length < pageHits;

  find("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = find("q").value.trim();
    if (text) go({ text });
    else say("Say what to look for, or give an image.");
  });
  find("collection").addEventListener("change", () => {
    if (asked && asked.picture) go(asked);
    else if (find("q").value.trim()) go({ text: find("q").value.trim() });
    else history.pushState({}, "", addressOf({}));
  });
  find("more").addEventListener("click", () => asked && search(asked, true));
  find("show-all").addEventListener("click", (event) => {
    if (!asked || !isPlainClick(event)) return;
    event.preventDefault();
    go({ ...asked, all: true });
  });
  find("grid").addEventListener("click", (event) => {
    const link = event.target.closest("a.similar");
    if (!link || !isPlainClick(event)) return;
    event.preventDefault();
    find("q").value = "";
    go({ similar: new URL(link.href).searchParams.get("similar") });
    window.scrollTo({ top: 0 });
    find("results").focus({ preventScroll: true });
  });
  window.addEventListener("popstate", restore);

  find("choose").addEventListener("click", () => find("picture").click());
  find("picture").addEventListener("change", (event) => {
    if (event.target.files.length) searchByPicture(event.target.files[0]);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData && event.clipboardData.files);
    if (file) searchByPicture(file);
  });

  let depth = 0;
  const hasFiles = (event) => [...(event.dataTransfer ? event.dataTransfer.types : [])].includes("Files");
  const inPanel = (event) => event.target.closest && event.target.closest("#classify[open]");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    find("drop").hidden = false;
    find("drop").textContent = inPanel(event) ? "Drop the images to classify them" : "Drop the image to search by it";
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) find("drop").hidden = true;
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    find("drop").hidden = true;
    if (inPanel(event)) classify([...event.dataTransfer.files]);
    else searchByPicture(pictureIn(event.dataTransfer.files));
  });

  find("label-set").addEventListener("change", () => { find("labels-field").hidden = Boolean(find("label-set").value); });
  find("classify-form").addEventListener("submit", (event) => {
    event.preventDefault();
    classify([...find("classify-pictures").files]);
  });
  find("classify-pictures").addEventListener("change", () => find("classify-form").requestSubmit());
}

begin();
