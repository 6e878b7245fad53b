import { announce, byId, element, oncePerFrame, setText } from './dom.js';
import { cost, count, counted, duration, milliseconds, percent, rate, timeOfDay } from './format.js';
import { reasonOf, request } from './request.js';

/** @import { Job, JobState } from '../protocol.js' */

/** Ended jobs that stay on the page. */
const ENDED = 30;
/** Problems of a job that are named. */
const PROBLEMS = 5;

/** @type {Record<JobState, string>} */
const STATES = {
  waiting: 'Waiting',
  reading: 'Reading',
  running: 'Running',
  paused: 'Paused',
  done: 'Done',
  cancelled: 'Cancelled',
  failed: 'Failed',
};

/** What a job that is over comes to: more than one of them is called "done" by the server. @param {Job} job */
function outcomeOf({ state, chunks, files, batches }) {
  if (state !== 'done') return { name: STATES[state], look: state };
  if (chunks.stored === 0) return { name: 'Nothing stored', look: 'problems' };
  if (files.failed > 0 || chunks.refused > 0) return { name: 'Done with problems', look: 'problems' };
  return { name: batches === 0 ? 'Already indexed' : 'Done', look: 'done' };
}

/** @param {Job} job */
export function hasEnded({ state }) {
  return state === 'done' || state === 'cancelled' || state === 'failed';
}

/** The jobs of the user: what is known of them, and their rows. */
export class JobList {
  /** @type {Map<string, Job>} */
  #jobs = new Map();
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #older = 0;
  #list = byId('jobs', HTMLUListElement);
  #none = byId('no-jobs', HTMLElement);
  #olderNote = byId('older-jobs', HTMLElement);
  #colourOf;
  #render = oncePerFrame(() => this.#show());

  /** @param {(user: string) => string} colourOf the class of their swatch */
  constructor(colourOf) {
    this.#colourOf = colourOf;
  }

  /** Newest first. */
  get jobs() {
    return [...this.#jobs.values()].sort((a, b) => b.startedAt - a.startedAt);
  }

  /** @param {string} id */
  get(id) {
    return this.#jobs.get(id);
  }

  /** @param {Job[]} jobs all there are */
  replace(jobs) {
    this.#jobs.clear();
    this.#older = 0;
    for (const job of jobs) this.#jobs.set(job.id, job);
    this.#forget();
    this.#render();
  }

  /** @param {Job} job */
  update(job) {
    const before = this.#jobs.get(job.id);
    this.#jobs.set(job.id, job);
    if (before?.state !== job.state) {
      if (before === undefined) announce(`${job.name}: started`);
      else if (job.state !== 'reading' && job.state !== 'running') {
        announce(`${job.name}: ${outcomeOf(job).name.toLowerCase()}, ${counted(job.chunks.stored, 'chunk')} stored`);
      }
    }
    this.#forget();
    this.#render();
  }

  /** The answer to a request: events of the same job may have come before it. @param {Job} job */
  add(job) {
    if (!this.#jobs.has(job.id)) this.update(job);
  }

  /** A page that stays open for weeks keeps no job of weeks ago. */
  #forget() {
    const old = this.jobs.filter(hasEnded).slice(ENDED);
    for (const { id } of old) this.#jobs.delete(id);
    this.#older += old.length;
  }

  #show() {
    const jobs = this.jobs;
    for (const [id, row] of this.#rows) {
      if (this.#jobs.has(id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    jobs.forEach((job, i) => {
      let row = this.#rows.get(job.id);
      if (row === undefined) {
        row = new Row(job);
        this.#rows.set(job.id, row);
      }
      row.show(job, this.#colourOf(job.user));
      // A row in its place is left there: moving it would take the focus from its button.
      if (this.#list.children[i] !== row.item) this.#list.insertBefore(row.item, this.#list.children[i] ?? null);
    });
    this.#none.hidden = jobs.length > 0;
    this.#olderNote.hidden = this.#older === 0;
    setText(this.#olderNote, `${counted(this.#older, 'older job')} not shown.`);
  }

  /** Colours change with the batches. */
  recolour() {
    this.#render();
  }
}

class Row {
  item;
  #swatch;
  #bar;
  #cancel;
  /** @type {Record<string, HTMLElement>} */
  #fields = {};
  #problems = '';
  #share = 0;

  /** @param {Job} job */
  constructor({ id, name }) {
    const row = byId('job-row', HTMLTemplateElement).content.cloneNode(true);
    const item = /** @type {DocumentFragment} */ (row).querySelector('li');
    if (item === null) throw new Error('The template of a job has no list item.');
    this.item = item;
    for (const field of item.querySelectorAll('[data-field]')) {
      if (field instanceof HTMLElement && field.dataset.field) this.#fields[field.dataset.field] = field;
    }
    this.#swatch = /** @type {Element} */ (item.querySelector('.swatch'));
    this.#bar = /** @type {HTMLProgressElement} */ (this.#field('bar'));
    this.#cancel = /** @type {HTMLButtonElement} */ (this.#field('cancel'));
    this.#bar.setAttribute('aria-label', `Progress of ${name}`);
    this.#cancel.setAttribute('aria-label', `Cancel ${name}`);
    this.#cancel.addEventListener('click', () => void this.#stop(id));
    item.dataset.job = id;
  }

  /** @param {string} name */
  #field(name) {
    const field = this.#fields[name];
    if (field === undefined) throw new Error(`The template of a job has no ${name}.`);
    return field;
  }

  /** @param {string} id */
  async #stop(id) {
    this.#cancel.disabled = true;
    try {
      // The new state comes as an event, as does everything else that happens to the job.
      await request(`/api/jobs/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
    } catch (error) {
      this.#cancel.disabled = false;
      announce(`The job could not be cancelled: ${reasonOf(error)}`);
    }
  }

  /**
   * @param {Job} job
   * @param {string} colour
   */
  show(job, colour) {
    const { files, latency } = job;
    const ended = hasEnded(job);
    const outcome = outcomeOf(job);
    const set = (/** @type {string} */ field, /** @type {string} */ text) => setText(this.#field(field), text);

    this.item.dataset.state = job.state;
    this.item.dataset.look = outcome.look;
    this.#swatch.className = `swatch ${colour}`;
    set('name', job.name);
    set('state', outcome.name);
    // Hidden would drop the focus to the top of the page; the heading is where the next Tab should start from.
    if (ended && document.activeElement === this.#cancel) byId('jobs-heading', HTMLElement).focus();
    this.#cancel.hidden = ended;

    set('message', job.message ?? '');
    this.#field('message').hidden = job.message === undefined;

    this.#bar.hidden = ended;
    if (!ended) this.#showBar(job);
    set('count', stored(job));
    set(
      'left',
      ended ? `${timeOfDay(job.startedAt)}, took ${duration((job.endedAt ?? 0) - job.startedAt)}` : left(job),
    );

    // What no batch of this job has told yet is not zero but unknown.
    const known = job.batches > 0;
    this.#field('details').hidden = !known;
    set('rate', rate(job.chunksPerSecond));
    set('latency', `${[latency.p50, latency.p95, latency.p99].map(milliseconds).join(' / ')} ms`);
    set('batches', count(job.batches));
    set('fill', percent(job.meanFill));
    set('strangers', percent(job.coalescing.strangersShare));
    set(
      'files',
      files.total === undefined || ended ? count(files.done) : `${count(files.done)} of ${count(files.total)}`,
    );
    set('cost', `${cost(job.cost)} (${counted(job.tokens, 'token')})`);
    this.#showProblems(job);
  }

  /** The share that is stored, of all files and then of all chunks. It never goes back. @param {Job} job */
  #showBar({ files, chunks }) {
    const [done, all] =
      chunks.total !== undefined
        ? [chunks.stored + chunks.refused, chunks.total]
        : [files.done + files.failed, files.total];
    if (all === undefined) {
      if (this.#bar.hasAttribute('value')) this.#bar.removeAttribute('value');
      return;
    }
    this.#share = Math.max(this.#share, done / Math.max(all, 1));
    this.#bar.value = this.#share;
  }

  /** @param {Job} job */
  #showProblems({ problems, files, chunks }) {
    const text = JSON.stringify(problems);
    if (text === this.#problems) return;
    this.#problems = text;
    const list = this.#field('problem-list');
    list.hidden = problems.length === 0;
    const shown = problems.slice(0, PROBLEMS);
    const lines = shown.map(({ path, message }) => element('li', '', element('code', '', path), `: ${message}`));
    const more = Math.max(files.failed + chunks.refused, problems.length) - shown.length;
    if (more > 0) lines.push(element('li', '', `and ${count(more)} more`));
    list.replaceChildren(...lines);
  }
}

/** @param {Job} job */
function stored({ chunks, state }) {
  if (state === 'done' && chunks.total === 0) return 'no text found';
  if (chunks.total !== undefined) return `${count(chunks.stored)} of ${counted(chunks.total, 'chunk')} stored`;
  return `${counted(chunks.stored, 'chunk')} stored, ${count(chunks.read)} read so far`;
}

/** @param {Job} job */
function left({ chunks, chunksPerSecond, state }) {
  if (state === 'paused' || chunks.total === undefined || chunksPerSecond <= 0) return '';
  return `about ${duration(((chunks.total - chunks.stored) / chunksPerSecond) * 1_000)} left`;
}
