// The scores of all images that pass the filters as a small histogram, and below it the slider that cuts them off.

import { count, draw, find } from "./elements.js";

const WIDE = 240;
const HIGH = 36;
const STILL = 160; // milliseconds that the slider stands before it counts

let scores = null; // {edges, counts, cut} of the query that is shown
let timer = 0;

/** Call `change(cut)` with "auto", "all" or a score when the visitor chooses one; `last` is true once it is let go. */
export function takeCut(change) {
  const slider = find("cut-slider");
  const moved = (last) => {
    clearTimeout(timer);
    paint(Number(slider.value));
    say(Number(slider.value));
    timer = setTimeout(() => change(Number(slider.value)), last ? 0 : STILL);
  };
  slider.addEventListener("input", () => moved(false));
  slider.addEventListener("change", () => moved(true));
  find("cut-auto").addEventListener("click", () => change("auto"));
  find("cut-all").addEventListener("click", () => change("all"));
}

/** Show where the cut stands: `answer` is the first page of a search, null where nothing is searched. */
export function showCut(state, answer) {
  find("cut").classList.toggle("idle", !answer);
  find("cut-auto").setAttribute("aria-pressed", state.cut === "auto");
  find("cut-all").setAttribute("aria-pressed", state.cut === "all");
  if (!answer) return;
  const { histogram } = answer;
  if (histogram && histogram.counts.length) bars(histogram);
  else none();
  const slider = find("cut-slider");
  slider.disabled = !scores;
  if (!scores) return;
  const [low, high] = [scores.edges[0], scores.edges.at(-1)];
  // Where nothing can match, the automatic cut is beyond every score; where relevance cannot be told, there is none.
  const automatic = answer.cut ? answer.cut.min_score ?? high : state.cut === "auto" ? low : scores.cut ?? high;
  const least = typeof state.cut === "number" ? state.cut : state.cut === "all" ? low : automatic;
  Object.assign(slider, { min: Math.min(low, least), max: Math.max(high, least), step: 0.001 });
  slider.value = least;
  paint(least);
  if (state.cut === "auto" && !answer.cut) find("cut-value").textContent = "no automatic cut here";
  else say(least, state.cut === "auto");
}

// No image passes the filters: there is nothing to cut off.
function none() {
  scores = null;
  find("cut-bars").replaceChildren();
  find("cut-value").textContent = "";
}

function bars({ edges, counts, min_score_cut: cut }) {
  scores = { edges, counts, cut };
  const most = Math.max(1, ...counts);
  const width = WIDE / counts.length;
  // The few that match would not be seen beside the many that do not: heights are square roots.
  find("cut-bars").replaceChildren(...counts.map((number, at) => {
    const height = number ? Math.max(1.5, HIGH * Math.sqrt(number / most)) : 0;
    return draw("rect", { x: (at * width).toFixed(2), y: (HIGH - height).toFixed(2), width: Math.max(0.5, width - 1).toFixed(2),
      height: height.toFixed(2), rx: 1 });
  }));
}

function paint(least) {
  [...find("cut-bars").children].forEach((bar, at) => bar.classList.toggle("out", scores.edges[at + 1] <= least));
}

function say(least, automatic = false) {
  const kept = scores.counts.reduce((sum, number, at) => sum + (scores.edges[at] >= least ? number : 0), 0);
  const text = `score from ${least.toFixed(3)}`;
  find("cut-value").textContent = text;
  find("cut-slider").setAttribute("aria-valuetext", `${text}${automatic ? ", chosen automatically" : ""}, about ${count(kept, "image")}`);
}
