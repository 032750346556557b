// The state of a page stands in its address, so that it can be linked to and the back button works.

const listeners = [];

/** The address's arguments as they are now. */
export const here = () => new URLSearchParams(location.search);

/** Arguments of an object: null, undefined, "", false and empty lists are left out, true is 1, lists are repeated. */
export function toArguments(values) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === null || one === undefined || one === "" || one === false) continue;
      found.append(name, one === true ? "1" : String(one));
    }
  }
  return found;
}

/** The address of this page with other arguments (an object, or URLSearchParams). */
export function addressOf(values, path = location.pathname) {
  const found = (values instanceof URLSearchParams ? values : toArguments(values)).toString();
  return found ? `${path}?${found}` : path;
}

/** Go to a state: a new entry of the history, or in the place of this one. `state` is kept beside the address. */
export function go(values, { replace = false, state = {} } = {}) {
  const address = addressOf(values);
  try {
    if (replace) history.replaceState(state, "", address);
    else history.pushState(state, "", address);
  } catch {
    // Browsers take some hundred states in half a minute; the next one stands in the address again.
  }
}

/** Call back with the arguments and the kept state when the visitor goes back or forward. */
export function onReturn(callback) {
  listeners.push(callback);
}

addEventListener("popstate", (event) => {
  for (const callback of listeners) callback(here(), event.state || {});
});
