import { byId, setAttribute } from './dom.js';
import { byUser, colourClass } from './batches.js';

/** @import { Batch } from '../protocol.js' */

const SVG = 'http://www.w3.org/2000/svg';

/** Pixels. */
const HEIGHT = 272;
const LEFT = 30;
const TOP = 8;
const BOTTOM = 8;
const PITCH = 9;
const GAP = 1;
/** A chart of batches that could be larger than this, and are not, is no higher. */
const LOW = 32;
/** Requests in the columns that are sketched where there is no batch yet. */
const SKETCH = [9, 14, 6, 21, 17, 32, 12, 26, 8, 19, 32, 15, 23, 5, 11, 28, 18];
/** Squares that are lower than this are drawn as one bar. */
const LOWEST_SQUARE = 5;

/** SVG elements of one kind that are used again with every drawing. */
class Pool {
  #parent;
  #tag;
  /** @type {SVGElement[]} */
  #elements = [];
  #used = 0;

  /**
   * @param {Element} parent
   * @param {string} tag
   */
  constructor(parent, tag) {
    this.#parent = parent.appendChild(document.createElementNS(SVG, 'g'));
    this.#tag = tag;
  }

  /** @param {Record<string, string | number>} attributes */
  draw(attributes) {
    const made = this.#elements[this.#used] ?? /** @type {SVGElement} */ (document.createElementNS(SVG, this.#tag));
    this.#elements[this.#used++] = made;
    for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
    if (made.parentNode === null) this.#parent.append(made);
    return made;
  }

  /** Takes away what this drawing has not used. */
  finish() {
    for (const unused of this.#elements.splice(this.#used)) unused.remove();
    this.#used = 0;
  }
}

/** A column of squares for each batch: one for each request, in the colour of its user. */
export class Chart {
  #place = byId('chart', HTMLElement);
  #svg = document.createElementNS(SVG, 'svg');
  #sketch;
  #bars;
  #lines;
  #texts;
  #marks;
  #width = 0;
  /** What is drawn, oldest first. @type {Batch[]} */
  #shown = [];
  /** The batch that is looked at, which may have moved on since. @type {number | undefined} */
  #chosen;
  #changed;

  /** @param {() => void} changed called when there is another width to fill, or another batch is looked at */
  constructor(changed) {
    this.#changed = changed;
    setAttribute(this.#svg, 'height', HEIGHT);
    setAttribute(this.#svg, 'aria-hidden', 'true');
    this.#sketch = new Pool(this.#svg, 'rect');
    this.#bars = new Pool(this.#svg, 'rect');
    this.#lines = new Pool(this.#svg, 'line');
    this.#texts = new Pool(this.#svg, 'text');
    this.#marks = new Pool(this.#svg, 'rect');
    this.#place.append(this.#svg);
    new ResizeObserver(([entry]) => {
      this.#width = Math.floor(entry?.contentRect.width ?? 0);
      changed();
    }).observe(this.#place);
    this.#place.addEventListener('pointermove', (event) => this.#choose(this.#at(event)));
    this.#place.addEventListener('pointerdown', (event) => this.#choose(this.#at(event)));
    this.#place.addEventListener('pointerleave', () => this.#choose(undefined));
    this.#place.addEventListener('blur', () => this.#choose(undefined));
    this.#place.addEventListener('focus', () => {
      if (this.#place.matches(':focus-visible')) this.#choose(this.#shown.at(-1));
    });
    this.#place.addEventListener('keydown', (event) => this.#move(event));
  }

  /** @returns {Batch | undefined} */
  get chosen() {
    return this.#shown.find(({ id }) => id === this.#chosen);
  }

  /** Those that have a place. */
  get shown() {
    return this.#shown;
  }

  /** It fills from the left, and moves when it is full. */
  get #left() {
    const room = Math.floor((this.#width - LEFT) / PITCH);
    return this.#shown.length < room ? LEFT : this.#width - PITCH * this.#shown.length;
  }

  /** @param {Batch[]} batches oldest first */
  draw(batches) {
    if (this.#width === 0) return;
    this.#shown = batches.slice(-Math.max(1, Math.floor((this.#width - LEFT) / PITCH)));
    const least = batches.length === 0 ? LOW : 1;
    const most = this.#shown.reduce((top, { size, capacity }) => Math.max(top, size, Math.min(capacity, LOW)), least);
    const floor = HEIGHT - BOTTOM;
    const unit = (floor - TOP) / most;
    // An empty chart has no scale.
    const scale = batches.length === 0 ? [] : new Set([0, Math.round(most / 2), most]);
    for (const size of scale) {
      const y = floor - size * unit;
      this.#lines.draw({ x1: LEFT, x2: this.#width, y1: y, y2: y, class: 'grid' });
      this.#text(String(size), LEFT - 8, y + 4);
    }
    if (batches.length === 0) this.#drawSketch(floor, unit);
    const left = this.#left;
    this.#shown.forEach((batch, i) => {
      const x = left + i * PITCH;
      let below = 0;
      for (const { user, colour, count } of byUser([batch])) {
        const y = floor - (below + count) * unit;
        this.#bars.draw({
          x,
          y,
          width: PITCH - GAP,
          height: count * unit,
          class: colourClass(colour),
          'data-user': user,
        });
        below += count;
      }
    });
    if (unit >= LOWEST_SQUARE) {
      for (let row = 1; row < most; row += 1) {
        const y = floor - row * unit;
        this.#lines.draw({ x1: LEFT, x2: this.#width, y1: y, y2: y, class: 'cut' });
      }
    }
    this.#drawChosen(left, floor, unit);
    for (const pool of [this.#sketch, this.#bars, this.#lines, this.#texts, this.#marks]) pool.finish();
    setAttribute(this.#place, 'aria-valuemin', this.#shown[0]?.id ?? 0);
    setAttribute(this.#place, 'aria-valuemax', this.#shown.at(-1)?.id ?? 0);
    setAttribute(this.#place, 'aria-valuenow', (this.chosen ?? this.#shown.at(-1))?.id ?? 0);
  }

  /** What a screen reader says of it. @param {string} text */
  describe(text) {
    setAttribute(this.#place, 'aria-valuetext', text);
  }

  /**
   * What will be there, so that the place is not taken for a fault.
   *
   * @param {number} floor
   * @param {number} unit
   */
  #drawSketch(floor, unit) {
    for (let i = 0; (i + 1) * PITCH <= this.#width - LEFT; i += 1) {
      const height = (SKETCH[i % SKETCH.length] ?? 0) * unit;
      const x = this.#width - (i + 1) * PITCH;
      this.#sketch.draw({ x, y: floor - height, width: PITCH - GAP, height, class: 'sketch' });
    }
  }

  /**
   * @param {number} left
   * @param {number} floor
   * @param {number} unit
   */
  #drawChosen(left, floor, unit) {
    const at = this.#shown.findIndex(({ id }) => id === this.#chosen);
    const batch = this.#shown[at];
    if (batch === undefined) return;
    const height = batch.size * unit + 3;
    this.#marks.draw({
      x: left + at * PITCH - 2,
      y: floor - height,
      width: PITCH + 3,
      height: height + 2,
      class: 'chosen',
    });
  }

  /** @param {MouseEvent} event */
  #at({ clientX }) {
    const x = clientX - this.#svg.getBoundingClientRect().left;
    const left = this.#left;
    return this.#shown[Math.floor((x - left) / PITCH)];
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const last = this.#shown.length - 1;
    const at = this.#shown.findIndex(({ id }) => id === this.#chosen);
    const from = at < 0 ? last : at;
    /** @type {Record<string, number>} */
    const steps = {
      ArrowLeft: from - 1,
      ArrowDown: from - 1,
      ArrowRight: from + 1,
      ArrowUp: from + 1,
      PageDown: from - 10,
      PageUp: from + 10,
      Home: 0,
      End: last,
    };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#choose(this.#shown[Math.max(0, Math.min(last, to))]);
  }

  /** @param {Batch | undefined} batch */
  #choose(batch) {
    if (this.#chosen === batch?.id) return;
    this.#chosen = batch?.id;
    this.#changed();
  }

  /**
   * @param {string} text
   * @param {number} x
   * @param {number} y
   */
  #text(text, x, y) {
    const drawn = this.#texts.draw({ x, y, 'text-anchor': 'end' });
    if (drawn.textContent !== text) drawn.textContent = text;
  }
}
