// What could not be read, and why.

import { fileName, find, make, tell } from "./elements.js";
import { api, ask } from "./server.js";

const SHOWN = 200;

/** Show the failures of the collection. */
export async function showFailures() {
  try {
    const { failures, total } = await ask(api(`/failures?limit=${SHOWN}`));
    find("failures-panel").hidden = !total;
    find("failures-count").textContent = total.toLocaleString("en");
    find("failures").replaceChildren(...failures.map((one) => make("tr", {}, make("td", { textContent: fileName(one.uri), title: one.uri }),
      make("td", { textContent: one.reason }), make("td", { className: "number", textContent: String(one.attempts) }))));
    find("failures-more").textContent = total > failures.length ? `The first ${failures.length} are shown.` : "";
  } catch (error) {
    tell(error, showFailures);
  }
}
