// The results of one state, page by page: of a search, or of the collection's images where nothing is looked for.

import { toArguments } from "./address.js";
import { apiBody, apiFilters, DEEPEST, isBrowsing } from "./query.js";
import { dataOf } from "./pictures.js";
import { api, ask } from "./server.js";

const FIRST = 100; // quick to come, and more than the largest window shows
const FURTHER = 300;

export class Feed {
  constructor(state, collection, total) {
    Object.assign(this, { state, collection, total, offset: 0, after: null, whole: false, results: [], answer: null });
    this.control = new AbortController();
    this.coming = null;
  }

  /** Fetch the next page, and answer its results; one at a time. */
  next() {
    // One that was left and is shown again goes on where it stopped.
    if (this.control.signal.aborted) this.control = new AbortController();
    this.coming ??= this.fetch().finally(() => { this.coming = null; });
    return this.coming;
  }

  stop() {
    this.control.abort();
  }

  async fetch() {
    const page = await (isBrowsing(this.state) ? this.list() : this.search());
    this.results.push(...page);
    return page;
  }

  async list() {
    const names = { ...apiFilters(this.state), sort: this.state.sort === "oldest" ? "oldest" : "newest",
      limit: this.after === null ? FIRST : FURTHER, after: this.after };
    const answer = await ask(`${api("/images", this.collection)}?${toArguments(names)}`, { signal: this.control.signal });
    this.after = answer.next;
    this.whole = answer.next === null;
    return answer.images.map((image) => ({ image, score: null, relevance: null, duplicates: [] }));
  }

  async search() {
    const k = Math.min(this.offset ? FURTHER : FIRST, DEEPEST - this.offset);
    const body = await apiBody(this.state, dataOf, { k, offset: this.offset });
    const answer = await ask(api("/search", this.collection), { json: body, signal: this.control.signal });
    this.answer ??= answer;
    this.offset += answer.hits.length;
    this.whole = answer.hits.length < k || this.offset >= DEEPEST;
    return answer.hits;
  }
}
