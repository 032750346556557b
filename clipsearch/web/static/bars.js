// Labels of an image as people read them: bars of probabilities, and why nothing was chosen.

import { make } from "./elements.js";

export const BACKGROUND = "something else";

/** A probability for people. */
export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

const REASONS = {
  background: () => "something else fits better",
  score: (best) => `the score of ${name(best)}, ${best.score.toFixed(3)}, is below the least score`,
  probability: (best) => `the probability of ${name(best)}, ${percent(best.probability)}, is below the least one`,
  margin: (best) => `${name(best)} leads by too little, ${percent(best.margin)}`,
};

const name = (prediction) => prediction.label ?? BACKGROUND;

/** What was decided, in a sentence: {labels, rejected, predictions} of a classification. */
export function verdict({ labels, rejected, predictions, category }) {
  // Of one accepted label the bars say it all.
  if (labels.length === 1 && !category && predictions[0].accepted) return make("span", { hidden: true });
  if (labels.length) {
    const text = labels.join(", ");
    return make("p", { className: "verdict" }, make("strong", { textContent: text }),
      category && !labels.includes(category) ? make("span", { className: "quiet", textContent: ` · ${category}` }) : null);
  }
  const best = predictions[0];
  const why = best && REASONS[rejected] ? `: ${REASONS[rejected](best)}` : "";
  return make("p", { className: "verdict none" }, make("strong", { textContent: "None of them" }), why);
}

/** A row for each prediction: label, bar, probability and score. */
export function bars(predictions, { scores = true } = {}) {
  return make("ol", { className: "bars" }, ...predictions.map((one) => make("li", { className: one.accepted ? "accepted" : "" },
    make("span", { className: "bar-label" }, name(one), one.accepted ? make("span", { className: "tick", textContent: "✓", "aria-label": "accepted", role: "img" }) : null),
    make("progress", { max: 1, value: one.probability, "aria-label": name(one) }),
    make("span", { className: "bar-share number", textContent: percent(one.probability) }),
    scores ? make("span", { className: "bar-score number quiet", textContent: one.score.toFixed(3), title: "cosine similarity" }) : null)));
}
