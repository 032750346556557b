// Thousands of results in a document of at most 300 tiles: only the rows near the window are elements, each at a place
// that was computed before. Arrow keys move through all of them; one tile at a time can be reached by Tab.

import { CAPTION, GAP, justify, rowAt, shapeOf, usualHeight } from "./justify.js";
import { make } from "./elements.js";

const MOST_TILES = 300;
const AROUND = 0.75; // windows above and below that are kept ready
const AHEAD = 8; // windows before the end at which more is asked for
const QUICK = 3; // windows a second: faster than this, pictures would be fetched only to be thrown away
const SKELETON = [1.5, 1, 0.75, 1.33, 1.78, 0.8, 1.33, 1, 1.5, 0.66, 1.33, 1.5, 1, 0.75, 1.78, 1.33, 1, 1.5];

export class Grid {
  /** `tile(result, place)` makes the inside of a tile: its first link is what keys move through. */
  constructor(list, { tile, need }) {
    Object.assign(this, { list, tile, need, width: 0, active: 0, awake: 0, lastTop: 0, lastTime: 0 });
    this.shown = new Map();
    this.clear();
    const update = () => this.schedule();
    addEventListener("scroll", update, { passive: true });
    addEventListener("resize", update);
    new ResizeObserver(() => this.resize()).observe(list);
    list.addEventListener("keydown", (event) => this.move(event));
    list.addEventListener("focusin", (event) => this.activate(event.target.closest("li").place));
  }

  clear() {
    this.results = [];
    this.shapes = [];
    this.rows = [];
    this.whole = false;
    this.total = -1;
    this.active = 0;
  }

  /** Show these in the place of what is shown; `total` is -1 while it is not known. */
  reset(results, whole, total = -1) {
    this.drop();
    this.clear();
    this.append(results, whole, total);
  }

  append(results, whole, total = -1) {
    for (const one of results) {
      this.results.push(one);
      this.shapes.push(shapeOf(one.image));
    }
    this.whole = whole;
    this.total = whole ? this.results.length : total;
    for (const element of this.shown.values()) element.setAttribute("aria-setsize", this.total);
    this.layOut();
  }

  /** Compute the rows that are not computed yet. */
  layOut() {
    this.width = this.width || this.list.clientWidth;
    const last = this.rows.at(-1);
    const [start, top] = last ? [last.end, last.top + last.height + CAPTION + GAP] : [0, 0];
    this.rows.push(...justify(this.shapes, start, top, this.width, this.whole));
    const end = this.rows.at(-1);
    this.height = end ? end.top + end.height + CAPTION : 0;
    this.list.style.height = `${this.height}px`;
    this.update();
  }

  resize() {
    const width = this.list.clientWidth;
    if (!width || width === this.width) return;
    // What stood at the top of the window stays there.
    const before = this.rows.length && this.list.getBoundingClientRect().top < 0 ? this.rows[rowAt(this.rows, this.scrolled())].start : 0;
    this.width = width;
    this.rows = [];
    this.drop();
    this.layOut();
    if (before) this.reveal(before, true);
  }

  scrolled() {
    return -this.list.getBoundingClientRect().top;
  }

  schedule() {
    if (!this.awake) this.awake = requestAnimationFrame((now) => { this.awake = 0; this.update(now); });
  }

  /** Make the rows near the window elements, and take away the others. */
  update(now = performance.now()) {
    const top = this.scrolled();
    const view = innerHeight;
    const speed = Math.abs(top - this.lastTop) / Math.max(1, now - this.lastTime) * 1000 / view;
    this.lastTop = top;
    this.lastTime = now;
    if (!this.rows.length) {
      this.drop();
    } else {
      const first = rowAt(this.rows, top - AROUND * view);
      let last = rowAt(this.rows, top + (1 + AROUND) * view);
      while (last > first && this.rows[last].end - this.rows[first].start >= MOST_TILES) last -= 1;
      this.put(first, last);
    }
    if (speed > QUICK) this.schedule();
    else this.load();
    if (!this.whole && top + AHEAD * view > this.height) this.need();
  }

  put(first, last) {
    const { start } = this.rows[first];
    const { end } = this.rows[last];
    const held = document.activeElement && document.activeElement.closest("li");
    for (const [place, element] of this.shown) {
      // The tile with the focus stays, wherever the window goes, or keys would lead nowhere.
      if ((place < start || place >= end) && element !== held) {
        element.remove();
        this.shown.delete(place);
      }
    }
    for (let number = first; number <= last; number += 1) {
      const row = this.rows[number];
      for (let place = row.start; place < row.end; place += 1) {
        if (!this.shown.has(place)) this.insert(place, row);
      }
    }
  }

  insert(place, row) {
    const element = make("li", { className: "tile", "aria-posinset": place + 1, "aria-setsize": this.total, style: {
      left: `${row.lefts[place - row.start]}px`, top: `${row.top}px`,
      width: `${row.widths[place - row.start]}px`, height: `${row.height + CAPTION}px`,
    } }, ...this.tile(this.results[place], place, row.height));
    element.place = place;
    element.querySelector("a").tabIndex = place === this.active ? 0 : -1;
    // In the order of the results, for those who read the page rather than see it.
    let next = null;
    for (let after = place + 1; after < place + 60 && !next; after += 1) next = this.shown.get(after) || null;
    if (!next) next = [...this.list.children].find((one) => one.place > place) || null;
    this.list.insertBefore(element, next);
    this.shown.set(place, element);
  }

  /** Fetch the pictures of the tiles that stay long enough to be seen. */
  load() {
    for (const element of this.shown.values()) {
      const image = element.querySelector("img[data-src]");
      if (!image) continue;
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }

  drop() {
    for (const element of this.shown.values()) element.remove();
    this.shown.clear();
  }

  /** Make this result the one that Tab reaches. */
  activate(place) {
    for (const [at, index] of [[this.active, -1], [place, 0]]) {
      const element = this.shown.get(at);
      if (element) element.querySelector("a").tabIndex = index;
    }
    this.active = place;
  }

  /** Scroll so that a result is in the window, and make its tile. */
  reveal(place, atTop = false) {
    const row = this.rows[Math.max(0, this.rows.findIndex((one) => one.end > place))];
    if (!row) return;
    const view = this.list.getBoundingClientRect().top + row.top;
    const height = row.height + CAPTION;
    if (atTop || view < 0) scrollBy(0, view - GAP);
    else if (view + height > innerHeight) scrollBy(0, view + height - innerHeight + GAP);
    this.update();
  }

  /** How many results it takes to fill the list down to the foot of the window. */
  reach() {
    return this.rows.length ? this.rows[rowAt(this.rows, this.scrolled() + innerHeight)].end : 0;
  }

  /** Give a result's tile the focus. */
  focus(place) {
    if (place < 0 || place >= (this.rows.at(-1)?.end ?? 0)) return;
    this.reveal(place);
    const element = this.shown.get(place);
    if (element) element.querySelector("a").focus({ preventScroll: true });
  }

  move(event) {
    const element = event.target.closest("li");
    if (!element || event.altKey || event.ctrlKey || event.metaKey) return;
    const place = element.place;
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: (this.rows.at(-1)?.end ?? 1) - 1,
      ArrowDown: this.beside(place, 1), ArrowUp: this.beside(place, -1) }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.focus(to);
  }

  /** The result above (-1) or below (1) that is nearest to the middle of this one. */
  beside(place, step) {
    const number = this.rows.findIndex((one) => one.end > place);
    const row = this.rows[number];
    const other = this.rows[number + step];
    if (!row || !other) return -1;
    const middle = ({ lefts, widths }, at) => lefts[at] + widths[at] / 2;
    const wanted = middle(row, place - row.start);
    let best = 0;
    other.lefts.forEach((_, at) => {
      if (Math.abs(middle(other, at) - wanted) < Math.abs(middle(other, best) - wanted)) best = at;
    });
    return other.start + best;
  }
}

/** Rows of grey where results will be; of the same form as results, so that nothing jumps. */
export function skeleton(place, rows = 3) {
  const width = place.clientWidth;
  const shapes = Array.from({ length: rows * 24 }, (_, at) => SKELETON[at % SKELETON.length]);
  const laid = justify(shapes, 0, 0, width, false).slice(0, rows);
  place.replaceChildren(...laid.flatMap((row) => row.lefts.map((left, at) => make("div", { className: "skeleton", style: {
    left: `${left}px`, top: `${row.top}px`, width: `${row.widths[at]}px`, height: `${row.height}px`,
  } }))));
  place.style.height = `${rows * (usualHeight(width) + CAPTION + GAP)}px`;
}
