// Lays images out in rows of equal height that fill the width, from their sizes alone, before any of them has loaded.

export const GAP = 12;
export const CAPTION = 28;
// Panoramas and long strips are shown cropped beyond these, so that none is a line or a pillar.
const NARROWEST = 0.5;
const WIDEST = 2.6;

/** The height that rows have where that fills the width. */
export const usualHeight = (width) => (width < 480 ? 132 : width < 900 ? 168 : width < 1700 ? 204 : width < 2200 ? 236 : 288);

export function shapeOf({ width, height }) {
  return width && height ? Math.min(WIDEST, Math.max(NARROWEST, width / height)) : 1;
}

/**
 * Rows for the shapes from `start` on: [{start, end, top, height, lefts, widths}]. The last row is kept back unless
 * `whole`, because what comes later would move it.
 */
export function justify(shapes, start, top, width, whole) {
  const rows = [];
  const wanted = usualHeight(width);
  let first = start;
  let sum = 0;
  for (let place = start; place < shapes.length; place += 1) {
    sum += shapes[place];
    const room = width - GAP * (place - first);
    if (sum * wanted < room) continue;
    rows.push(row(shapes, first, place + 1, top, room / sum));
    top += rows.at(-1).height + CAPTION + GAP;
    first = place + 1;
    sum = 0;
  }
  if (whole && first < shapes.length) rows.push(row(shapes, first, shapes.length, top, wanted));
  return rows;
}

function row(shapes, start, end, top, exact) {
  const height = Math.round(exact);
  const lefts = [];
  const widths = [];
  let left = 0;
  for (let place = start; place < end; place += 1) {
    // Whole pixels, and their remainders handed on, so that a full row ends exactly at the edge.
    const right = left + shapes[place] * exact;
    lefts.push(Math.round(left));
    widths.push(Math.round(right) - Math.round(left));
    left = right + GAP;
  }
  return { start, end, top, height, lefts, widths };
}

/** The place of the last row that begins at or above `y`. */
export function rowAt(rows, y) {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle].top <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}
