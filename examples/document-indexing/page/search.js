import { byId, element, setText } from './dom.js';
import { counted } from './format.js';
import { reasonOf, request } from './request.js';

/** @import { Hit } from '../protocol.js' */

const HITS = 20;
/** Milliseconds of quiet after which what has been typed is searched for. */
const TYPING = 150;
/** Milliseconds between searches while rows are being stored. */
const AGAIN = 1_000;

/** Searches as one types, and again while something is being indexed. */
export class Search {
  #input = byId('query', HTMLInputElement);
  #status = byId('search-status', HTMLElement);
  #live = byId('search-live', HTMLElement);
  #list = byId('hits', HTMLOListElement);
  /** What the results belong to. */
  #query = '';
  /** Ends the search that is under way. @type {AbortController | undefined} */
  #running;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #stale = false;
  /** @type {string[]} */
  #roots = [];

  constructor() {
    this.#input.value = new URLSearchParams(location.search).get('q') ?? '';
    this.#input.addEventListener('input', () => this.#later(TYPING, () => void this.#ask()));
    byId('search-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#ask();
    });
    if (this.#input.value !== '') void this.#ask();
  }

  /** @param {string[]} roots left out where they begin a path */
  shorten(roots) {
    this.#roots = roots;
  }

  /** Rows are being stored: what was found may not be all any more. */
  refresh() {
    if (this.#query === '') return;
    this.#stale = true;
    if (this.#timer === undefined && this.#running === undefined) this.#later(AGAIN, () => void this.#askAgain());
  }

  /**
   * @param {number} milliseconds
   * @param {() => void} action
   */
  #later(milliseconds, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      action();
    }, milliseconds);
  }

  async #ask() {
    const query = this.#input.value.trim();
    this.#query = query;
    const address = new URL(location.href);
    if (query === '') address.searchParams.delete('q');
    else address.searchParams.set('q', query);
    history.replaceState(null, '', address);
    if (query === '') {
      this.#running?.abort();
      this.#running = undefined;
      this.#list.replaceChildren();
      this.#list.hidden = true;
      setText(this.#status, '');
      setText(this.#live, '');
      return;
    }
    setText(this.#live, '');
    await this.#run(query);
  }

  async #askAgain() {
    // Not announced: a screen reader is told no more than another number of results.
    if (await this.#run(this.#query)) setText(this.#live, 'Searched again as more was stored.');
  }

  /** `false` when it failed or another search took over. @param {string} query */
  async #run(query) {
    this.#running?.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const running = (this.#running = new AbortController());
    this.#stale = false;
    let found = 0;
    let corrected = '';
    let wordsOnly = false;
    try {
      const parameters = new URLSearchParams({ q: query, limit: String(HITS) });
      const { body, headers } = await request(`/api/search?${parameters}`, { signal: running.signal });
      if (body === null) return false;
      corrected = decodeURIComponent(headers.get('search-corrected') ?? '');
      wordsOnly = headers.has('search-words-only');
      const words = corrected || query;
      for await (const line of lines(body)) this.#show(found++, /** @type {Hit} */ (JSON.parse(line)), words);
    } catch (error) {
      if (running.signal.aborted) return false;
      setText(this.#status, `The search failed: ${reasonOf(error)}`);
      return false;
    } finally {
      if (this.#running === running) this.#end();
    }
    // What an earlier search has found stays until here, so that the page does not jump.
    while (this.#list.childElementCount > found) this.#list.lastElementChild?.remove();
    this.#list.hidden = found === 0;
    setText(this.#status, summary(found, query, corrected, wordsOnly));
    return true;
  }

  #end() {
    this.#running = undefined;
    if (this.#stale) this.refresh();
  }

  /**
   * @param {number} place
   * @param {Hit} hit
   * @param {string} query
   */
  #show(place, { path, document: id, position, heading, excerpt }, query) {
    const root = this.#roots.find((folder) => path.startsWith(`${folder}/`));
    const short = root === undefined ? path : path.slice(root.length + 1);
    const link = element('a', '', ...marked(heading === '' ? short : heading, query));
    link.href = `/page/read.html?${new URLSearchParams({ document: id })}#section-${position}`;
    const item = element('li', '', element('h3', '', link));
    if (heading !== '') item.append(element('p', 'path', short));
    item.append(element('p', 'excerpt', ...marked(excerpt, query)));
    const shown = this.#list.children[place];
    this.#list.hidden = false;
    if (shown === undefined) this.#list.append(item);
    else if (!shown.isEqualNode(item)) shown.replaceWith(item);
  }
}

/**
 * @param {number} found
 * @param {string} query
 * @param {string} corrected
 * @param {boolean} wordsOnly
 */
function summary(found, query, corrected, wordsOnly) {
  const instead = corrected === '' ? '' : ` for “${corrected}”, which is spelt like “${query}”`;
  const alone = wordsOnly ? ' The embedding does not answer: these are by the words alone.' : '';
  if (found === 0) return `No good match${instead || ` for “${query}”`}.${alone}`;
  return `${found < HITS ? counted(found, 'result') : `The best ${HITS} results`}${instead}.${alone}`;
}

/**
 * `text` in pieces, with the words of the query marked.
 *
 * @param {string} text
 * @param {string} query
 * @returns {(Node | string)[]}
 */
function marked(text, query) {
  const words = query.match(/[\p{L}\p{N}]{2,}/gu);
  if (words === null) return [text];
  // The longest first: of `batches` and `batch`, where both fit, all of the word is marked.
  const pattern = words.sort((a, b) => b.length - a.length).join('|');
  const pieces = text.split(new RegExp(`(?<![\\p{L}\\p{N}])(${pattern})`, 'giu'));
  return pieces.map((piece, i) => (i % 2 === 1 ? element('mark', '', piece) : piece));
}

/** @param {ReadableStream<BufferSource>} body */
async function* lines(body) {
  // By hand, since not every browser iterates a stream.
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const parts = (rest + value).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((line) => line !== '');
  }
  if (rest !== '') yield rest;
}
