// Makes and finds elements, and tells people what happened. Whatever came from a file, a label or the server is put
// in as text, never as markup: nothing here takes HTML.

export const find = (id) => document.getElementById(id);

const SHOWN_FOR = 6000;

/** An element with properties and children; names with a dash, and role, are attributes, `style` is an object. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  set(element, properties);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set properties as `make` does; null takes an attribute away. */
export function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    // The content policy forbids style attributes, not styles that a script sets.
    if (name === "style") Object.assign(element.style, value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.includes("-") || name === "role") {
      if (value === null) element.removeAttribute(name);
      else element.setAttribute(name, value);
    } else element[name] = value;
  }
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An element of a drawing. */
export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Put a line of status in its place (a live region, so that it is read out too). */
export function say(text, { error = false, place = find("status") } = {}) {
  if (place.textContent !== text) place.textContent = text;
  place.classList.toggle("error", error);
}

/** Read something out without showing it. */
export function announce(text) {
  find("live").textContent = text;
}

const notes = find("toasts");

/** Notes stand in the dialog that is open: outside it they would lie below, where nothing can be used. */
function raise() {
  const open = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
  if (notes && notes.parentElement !== open) open.append(notes);
}

for (const change of ["close", "toggle"]) document.addEventListener(change, raise, true);

/** A short note at the foot of the window; with `action: {label, run}` it stays until it is used or closed. */
export function toast(text, { error = false, action = null } = {}) {
  const note = make("div", { className: error ? "toast error" : "toast" }, make("span", { textContent: text }));
  const close = () => note.remove();
  if (action) {
    note.append(make("button", { type: "button", className: "small", textContent: action.label, onclick: () => {
      close();
      action.run();
    } }));
  } else setTimeout(close, SHOWN_FOR);
  note.append(make("button", { type: "button", className: "plain", textContent: "×", onclick: close, "aria-label": "Close" }));
  raise();
  notes.append(note);
  return close;
}

/** Tell of an error from server.js: in words, with a way out (sign in, or try again). */
export function tell(error, again = null) {
  if (error.name === "AbortError") return;
  let action = again && error.again !== false ? { label: "Try again", run: again } : null;
  if (error.signIn) action = { label: "Sign in", run: () => location.assign(error.signIn) };
  toast(error.message, { error: true, action });
}

/** A panel for an empty place or an error: a heading, a sentence, and buttons or links as ways out. */
export function notice(heading, sentence, ...ways) {
  return make("div", { className: "notice" }, make("h2", { textContent: heading }),
    sentence ? make("p", { textContent: sentence }) : null, ways.length ? make("p", { className: "ways" }, ...ways) : null);
}

/** The way on from an error of server.js: sign in, or try again where that can help. */
export function wayOn(error, again) {
  if (error.signIn) return make("a", { className: "button main", href: error.signIn, textContent: "Sign in" });
  return error.again === false ? null : button("Try again", again, "main");
}

/** A button. */
export function button(label, run, className = "") {
  return make("button", { type: "button", className, textContent: label, onclick: run });
}

/** A plain left click, which may be taken over; any other opens a tab or window as the browser does it. */
export const isPlainClick = (event) => event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

/** The name of the file that a URI stands for. */
export function fileName(uri) {
  const name = uri.split("/").pop() || uri;
  if (!uri.startsWith("file:")) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** "1 image", "2,000 images". */
export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
