// The results of one state, page by page: of a search, or of the collection's images where nothing is looked for.

import { toArguments } from "./address.js";
import { apiBody, apiFilters, DEEPEST, isBrowsing } from "./query.js";
import { dataOf } from "./pictures.js";
import { api, ask } from "./server.js";

const FIRST = 100; // quick to come, and more than the largest window shows
const FURTHER = 300;
const MOST = 1000; // of the API

export class Feed {
  constructor(state, collection, total) {
    Object.assign(this, { state, collection, total, offset: 0, after: null, whole: false, results: [], answer: null });
    this.control = new AbortController();
    this.coming = null;
    this.failed = false; // whether the last page did not come: one that scrolls must not ask again and again
  }

  /** Fetch the next page, and answer its results; one at a time. It is larger where `wanted` results are to be there. */
  next(wanted = 0) {
    // One that was left and is shown again goes on where it stopped.
    if (this.control.signal.aborted) this.control = new AbortController();
    this.failed = false;
    this.coming ??= this.fetch(wanted - this.results.length).catch((error) => {
      this.failed = error.name !== "AbortError";
      throw error;
    }).finally(() => { this.coming = null; });
    return this.coming;
  }

  stop() {
    this.control.abort();
  }

  async fetch(missing) {
    const size = Math.min(MOST, Math.max(this.results.length ? FURTHER : FIRST, missing));
    const page = await (isBrowsing(this.state) ? this.list(size) : this.search(size));
    this.results.push(...page);
    return page;
  }

  async list(limit) {
    const names = { ...apiFilters(this.state), sort: this.state.sort === "oldest" ? "oldest" : "newest",
      limit, after: this.after };
    const answer = await ask(`${api("/images", this.collection)}?${toArguments(names)}`, { signal: this.control.signal });
    this.after = answer.next;
    this.whole = answer.next === null;
    return answer.images.map((image) => ({ image, score: null, relevance: null, duplicates: [] }));
  }

  async search(size) {
    const k = Math.min(size, DEEPEST - this.offset);
    const body = await apiBody(this.state, dataOf, { k, offset: this.offset });
    const answer = await ask(api("/search", this.collection), { json: body, signal: this.control.signal });
    this.answer ??= answer;
    this.offset += answer.hits.length;
    this.whole = answer.hits.length < k || this.offset >= DEEPEST;
    return answer.hits;
  }
}
