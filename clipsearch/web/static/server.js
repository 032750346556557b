// Talks to the API: every answer is JSON or an Error with words for people, a code and a status.

import { find } from "./elements.js";

const PATIENCE = 3;
const LONGEST_WAIT = 5000;

/** What the server said no to; `message` is for people, `code` for programs, `signIn` an address where a key is asked,
 * `again` whether the same may go well later. */
export class ServerError extends Error {
  constructor(message, { status = 0, code = "", details = {}, signIn = null } = {}) {
    super(message);
    Object.assign(this, { name: "ServerError", status, code, details, signIn,
      again: !status || status === 408 || status === 409 || status === 429 || status >= 500 });
  }
}

/** The collection that the page is about. */
export const collection = () => find("collection").value;

/** The address of something of the collection: api("/search"). */
export const api = (path = "", name = collection()) => `/api/v1/collections/${encodeURIComponent(name)}${path}`;

/** Why something that the browser fetches on its own did not come, as an error; null where the server has it. */
export async function whyNot(address) {
  try {
    const response = await reached(address, {});
    return response.ok ? null : await refusal(response);
  } catch (error) {
    return error;
  }
}

/** Ask the API; `options` as for fetch, and `json` for a body. Answers the JSON, null where there is none. */
export async function ask(address, { json, ...options } = {}) {
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers = { ...options.headers, "Content-Type": "application/json" };
    options.method = options.method || "POST";
  }
  for (let tries = 1; ; tries += 1) {
    const response = await reached(address, options);
    if (response.ok) return response.status === 204 ? null : response.json();
    // A full queue says when to come back; that is no error yet.
    if (response.status === 503 && tries < PATIENCE) {
      await pause(Math.min(LONGEST_WAIT, 1000 * (Number(response.headers.get("Retry-After")) || 1)), options.signal);
    } else throw await refusal(response);
  }
}

async function reached(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server cannot be reached. Is it still running?", { code: "unreachable" });
  }
}

async function refusal(response) {
  const isJson = (response.headers.get("Content-Type") || "").includes("json");
  const problem = isJson ? await response.json() : {};
  const here = encodeURIComponent(location.pathname + location.search);
  const signIn = response.status === 401 ? `/sign-in?next=${here}` : null;
  const words = signIn ? "Sign in with a key of this server to go on." : sentence(problem.detail || `The server answered ${response.status}.`);
  return new ServerError(words, { status: response.status, code: problem.code || "", details: problem.details || {}, signIn });
}

/** A sentence begins with a capital; the name of a file stays as it is. */
export const sentence = (text) => (/^[a-z]+[ ,:;]/.test(text) || /^[a-z]+$/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    if (signal) signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

/** The address of an image's thumbnail; with the content hash in it, it may be kept for ever. */
export function thumbnail(image, size = 320, name = collection()) {
  return `${api(`/images/${image.id}/thumbnail`, name)}?size=${size}&v=${(image.content_hash || "").slice(0, 16)}`;
}
