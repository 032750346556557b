// How far down one was, and how many results that took: kept beside the address in the history, for when one comes back.

const RESTING = 200; // milliseconds after which a window that is scrolled no more has its place kept

let reach = () => 0;
let timer = 0;
let onTheWay = false;

/** Keep the place from now on; `results` answers how many results it takes to fill the page down to the window's foot. */
export function keepPlaces(results) {
  reach = results;
  addEventListener("pagehide", keepPlace);
  addEventListener("scroll", () => { forgetPlace(); timer = setTimeout(keepPlace, RESTING); }, { passive: true });
}

/** The place as the history holds it. */
export const placeNow = () => ({ scroll: Math.round(scrollY), results: reach() });

/** Whether the window is on its way back to a place: until it is there, where it stands is none. */
export function wayBack(begins) {
  onTheWay = begins;
}

/** The entry of the history is another: what was to be kept was of the one before. */
export const forgetPlace = () => clearTimeout(timer);

/** Keep the place at once. */
export function keepPlace() {
  forgetPlace();
  if (onTheWay || Math.round(scrollY) === (history.state?.scroll ?? 0)) return;
  try {
    history.replaceState({ ...history.state, ...placeNow() }, "");
  } catch {
    // Browsers take so many in half a minute; the next one counts.
  }
}
