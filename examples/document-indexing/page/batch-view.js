import { BatchHistory } from './batches.js';
import { Chart, markOf } from './chart.js';
import { byId, element, oncePerFrame, setText } from './dom.js';
import { count, percent } from './format.js';

/** @import { Batch, Info, Job, ProgressWay } from '../protocol.js' */

/** @type {Record<ProgressWay, string>} */
const WAYS = {
  summary: 'Progress comes as summaries keyed by job: all jobs share the batches, and the payloads are small.',
  items: 'Progress comes as a payload for every chunk: all jobs share the batches, and the payloads are larger.',
  isolated: 'Every user has a serving of their own: no batch is shared between users, so fewer chunks meet in one.',
};

/** @type {Record<string, string>} */
const REASONS = { size: 'size: full', weight: 'weight: heavy enough', age: 'age: waited long enough' };

/** The section about the batches that all jobs share. */
export class BatchView {
  #history;
  #jobs;
  #way = byId('way', HTMLElement);
  #list = byId('coalescing', HTMLElement);
  #byJob = byId('by-job', HTMLTableSectionElement);
  #byReason = byId('by-reason', HTMLTableSectionElement);
  #none = byId('no-batches', HTMLElement);
  #some = byId('some-batches', HTMLElement);
  #render = oncePerFrame(() => this.#show());
  #chart = new Chart(this.#render);

  /**
   * @param {BatchHistory} history
   * @param {() => Job[]} jobs the user's
   */
  constructor(history, jobs) {
    this.#history = history;
    this.#jobs = jobs;
  }

  /** @param {Info} info */
  describe({ progress }) {
    setText(this.#way, WAYS[progress]);
  }

  update() {
    this.#render();
  }

  #show() {
    const jobs = this.#jobs();
    const { summary } = this.#history;
    this.#none.hidden = summary !== undefined;
    this.#some.hidden = summary === undefined;
    if (summary === undefined) return;

    const rides = jobs.reduce((sum, { chunks }) => sum + chunks.embedded, 0);
    const strangers = jobs.reduce(
      (sum, { chunks, coalescing }) => sum + chunks.embedded * coalescing.strangersShare,
      0,
    );
    showFigures(this.#list, [
      ['Batches seen', count(summary.batches)],
      ['Mean size', count(summary.meanSize)],
      ['Mean fill', percent(summary.meanFill)],
      ['Carried several jobs', percent(summary.mixedShare)],
      ['Others in your batches', rides > 0 ? percent(strangers / rides) : '–'],
    ]);

    const shown = this.#chart.fitting(this.#history.newest);
    const colourOf = (/** @type {string} */ job) => this.#history.colourOf(job);
    this.#chart.draw(shown, colourOf);
    this.#showJobs(shown, jobs);
    showRows(
      this.#byReason,
      BatchHistory.byReason(shown).map(({ reason, batches, chunks }) => ({
        mark: markOf(reason),
        cells: [REASONS[reason] ?? reason, count(batches), count(chunks / batches)],
      })),
    );
  }

  /**
   * @param {Batch[]} shown
   * @param {Job[]} jobs
   */
  #showJobs(shown, jobs) {
    const names = new Map(jobs.map(({ id, name }) => [id, name]));
    const all = shown.reduce((sum, { size }) => sum + size, 0);
    const rows = BatchHistory.byJob(shown).map(({ job, chunks }) => ({
      mark: element('span', `swatch ${this.#history.colourOf(job)}`),
      cells: [names.get(job) ?? 'another user’s job', count(chunks), percent(chunks / all)],
    }));
    showRows(this.#byJob, rows);
  }
}

/**
 * @param {HTMLElement} list
 * @param {[name: string, value: string][]} figures always the same names
 */
function showFigures(list, figures) {
  figures.forEach(([name, value], i) => {
    const shown = list.children[i]?.lastElementChild;
    if (shown) setText(shown, value);
    else list.append(element('div', '', element('dt', '', name), element('dd', '', value)));
  });
}

/**
 * @param {HTMLTableSectionElement} body
 * @param {{ mark: Element, cells: string[] }[]} rows the first cell names the row
 */
function showRows(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach(({ mark, cells }, i) => {
    const [name = '', ...values] = cells;
    const row = body.rows[i] ?? body.insertRow();
    if (row.cells.length === 0) {
      const heading = element('th', '', mark, element('span', '', name));
      heading.scope = 'row';
      row.append(heading, ...values.map((value) => element('td', '', value)));
      return;
    }
    const [heading, ...shown] = row.cells;
    if (heading?.firstElementChild && !heading.firstElementChild.isEqualNode(mark)) {
      heading.firstElementChild.replaceWith(mark);
    }
    if (heading?.lastElementChild) setText(heading.lastElementChild, name);
    shown.forEach((cell, column) => setText(cell, values[column] ?? ''));
  });
}
