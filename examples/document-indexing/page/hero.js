import { byUser, colourClass } from './batches.js';
import { Chart } from './chart.js';
import { announce, byId, element, oncePerFrame, setText } from './dom.js';
import { count, counted, duration, milliseconds } from './format.js';
import { reasonOf, request } from './request.js';

/** @import { Batch, Info, Simulation, Totals } from '../protocol.js' */
/** @import { BatchHistory } from './batches.js' */

/** @type {Record<string, string>} */
const REASONS = {
  size: 'it was full',
  weight: 'it was heavy enough',
  age: 'its first request had waited long enough',
  close: 'the server was about to end',
};
/** Users that the legend names. */
const NAMED = 12;

/** What the page is about: requests that became batches. */
export class Hero {
  #history;
  #headline = byId('headline', HTMLElement);
  #inserts = byId('inserts', HTMLElement);
  #readout = byId('readout', HTMLElement);
  #legend = byId('legend', HTMLUListElement);
  #compare = byId('compare', HTMLElement);
  #button = byId('simulate', HTMLButtonElement);
  #note = byId('simulate-note', HTMLElement);
  #render = oncePerFrame(() => this.#show());
  #chart = new Chart(this.#render);
  /** @type {Info['call'] | undefined} */
  #call;
  #simulating = false;
  #drawnHeadline = '';
  #drawnLegend = '';

  /** @param {BatchHistory} history */
  constructor(history) {
    this.#history = history;
    this.#button.addEventListener('click', () => void this.#simulate());
  }

  /** @param {Info} info */
  describe({ call }) {
    this.#call = call;
    this.update();
  }

  update() {
    this.#render();
  }

  /** @param {Simulation} simulation */
  simulation({ running }) {
    if (running === this.#simulating) return;
    this.#simulating = running;
    setText(this.#button, running ? 'Send them home' : 'Set 8 simulated users to work');
    setText(
      this.#note,
      running
        ? 'Eight users submit small jobs, for 20 seconds.'
        : 'Small jobs, so that their requests meet. Nothing is stored.',
    );
  }

  async #simulate() {
    try {
      const body = JSON.stringify({ running: !this.#simulating });
      await request('/api/simulation', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    } catch (error) {
      setText(this.#note, reasonOf(error));
      announce(reasonOf(error));
    }
  }

  #show() {
    const { totals, newest } = this.#history;
    this.#chart.draw(newest);
    const { chosen } = this.#chart;
    const last = this.#chart.shown.at(-1);
    this.#chart.describe(textOf(chosen ?? last));
    this.#showReadout(chosen, last);
    this.#showLegend();
    if (totals !== undefined) this.#showTotals(totals);
  }

  /** @param {Totals} totals */
  #showTotals(totals) {
    const { requests, batches, users, rows, inserts } = totals;
    const text = `${requests},${batches},${users}`;
    if (text !== this.#drawnHeadline) {
      this.#drawnHeadline = text;
      const mean = Math.max(1, Math.round(requests / batches));
      this.#headline.replaceChildren(
        `${counted(requests, 'request')} `,
        element('span', 'arrow', '→'),
        ' ',
        element('strong', '', counted(batches, 'batch', 'batches')),
        element('span', 'rest', `, ${count(mean)} at a time, ${counted(users, 'user')}`),
      );
    }
    setText(this.#inserts, inserts > 0 ? ` (${counted(rows, 'row')} in ${counted(inserts, 'insert')} so far)` : '');
    this.#showCompare(totals);
  }

  /** @param {Totals} totals */
  #showCompare({ requests, batches, milliseconds: all }) {
    const call = this.#call;
    this.#compare.hidden = call === undefined;
    if (call === undefined) return;
    const one = call.measured ? all / batches : call.milliseconds;
    const time = (/** @type {number} */ calls) => duration(calls * one);
    setText(byId('alone', HTMLElement), `${counted(requests, 'call')}, ${time(requests)}`);
    setText(byId('batched', HTMLElement), `${counted(batches, 'call')}, ${time(batches)}`);
    byId('alone-bar', HTMLElement).style.width = '100%';
    byId('batched-bar', HTMLElement).style.width = `${Math.max(0.5, (100 * batches) / requests)}%`;
    const each = `${milliseconds(one)} ms a call`;
    const basis = call.measured ? `${each}, as measured here` : `${each}, as to a hosted model`;
    setText(byId('compare-note', HTMLElement), `One after the other, at ${basis}.`);
  }

  /**
   * @param {Batch | undefined} chosen
   * @param {Batch | undefined} last
   */
  #showReadout(chosen, last) {
    if (chosen !== undefined) setText(this.#readout, textOf(chosen));
    else if (last === undefined)
      setText(this.#readout, 'No batch yet: set the simulated users to work, or index something.');
    else
      setText(
        this.#readout,
        'The newest batch is on the right. Point at one, or use the arrow keys, to see what was in it.',
      );
  }

  #showLegend() {
    const users = byUser(this.#chart.shown);
    const text = JSON.stringify(users);
    if (text === this.#drawnLegend) return;
    this.#drawnLegend = text;
    this.#legend.hidden = users.length === 0;
    const items = users.slice(0, NAMED).map(({ user, colour, count: requests }) => {
      return element(
        'li',
        '',
        element('span', `swatch ${colourClass(colour)}`),
        `${user} `,
        element('b', '', count(requests)),
      );
    });
    if (users.length > NAMED) items.push(element('li', '', `and ${count(users.length - NAMED)} more`));
    this.#legend.replaceChildren(...items);
  }
}

/** @param {Batch | undefined} batch */
function textOf(batch) {
  if (batch === undefined) return 'No batch yet';
  const { id, size, capacity, reason, milliseconds: took } = batch;
  const users = byUser([batch]).map(({ user, count: requests }) => `${user} ${count(requests)}`);
  const why = REASONS[reason] ?? `of ${reason}`;
  return `Batch ${count(id)}: ${count(size)} of at most ${count(capacity)} requests (${users.join(', ')}), sent because ${why}, ${milliseconds(took)} ms.`;
}
