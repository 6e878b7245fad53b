import { byId, setAttribute } from './dom.js';
import { counted, timeOfDay } from './format.js';

/** @import { Batch } from '../protocol.js' */

const SVG = 'http://www.w3.org/2000/svg';

/** Pixels. */
const HEIGHT = 190;
const LEFT = 34;
const TOP = 8;
const BOTTOM = 38;
const NARROWEST_BAR = 6;
const WIDEST_BAR = 16;

/** Around 0, within a square of 2. */
const SHAPES = new Map([
  ['size', 'M-.8-.8H.8V.8H-.8z'],
  ['age', 'M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0M-.45 0a.45.45 0 1 0 .9 0a.45.45 0 1 0-.9 0'],
  ['weight', 'M0-1.1L1.1 0L0 1.1L-1.1 0z'],
]);
const OTHER_SHAPE = 'M0-1L1.1.9H-1.1z';

/** @param {string} reason */
function shapeOf(reason) {
  return SHAPES.get(reason) ?? OTHER_SHAPE;
}

/** The mark of a trigger, by itself. @param {string} reason */
export function markOf(reason) {
  const mark = document.createElementNS(SVG, 'svg');
  const shape = document.createElementNS(SVG, 'path');
  for (const [name, value] of Object.entries({ class: 'mark', viewBox: '-1.3 -1.3 2.6 2.6', 'aria-hidden': 'true' })) {
    mark.setAttribute(name, value);
  }
  shape.setAttribute('d', shapeOf(reason));
  mark.append(shape);
  return mark;
}

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

export class Chart {
  #svg = byId('chart', SVGSVGElement);
  #lines = new Pool(this.#svg, 'line');
  #bars = new Pool(this.#svg, 'rect');
  #marks = new Pool(this.#svg, 'path');
  #texts = new Pool(this.#svg, 'text');
  #width = 0;

  /** @param {() => void} redraw called when there is another width to fill */
  constructor(redraw) {
    setAttribute(this.#svg, 'height', HEIGHT);
    new ResizeObserver(([entry]) => {
      this.#width = Math.floor(entry?.contentRect.width ?? 0);
      redraw();
    }).observe(this.#svg);
  }

  /** How many of `batches` have a place. @param {Batch[]} batches oldest first */
  fitting(batches) {
    return batches.slice(-Math.max(1, Math.floor((this.#width - LEFT) / NARROWEST_BAR)));
  }

  /**
   * @param {Batch[]} batches as many as fit
   * @param {(job: string) => string} colourOf
   */
  draw(batches, colourOf) {
    if (this.#width === 0) return;
    const floor = HEIGHT - BOTTOM;
    const most = batches.reduce((top, { size, capacity }) => Math.max(top, size, capacity), 1);
    const y = (/** @type {number} */ size) => TOP + (floor - TOP) * (1 - size / most);
    const pitch = Math.min(WIDEST_BAR, (this.#width - LEFT) / Math.max(1, batches.length));
    const left = this.#width - pitch * batches.length;

    for (const size of new Set([0, Math.round(most / 2), most])) {
      this.#lines.draw({ x1: LEFT, x2: this.#width, y1: y(size), y2: y(size), class: 'grid' });
      this.#text(String(size), LEFT - 6, y(size) + 4, 'end');
    }
    batches.forEach((batch, i) => {
      const x = left + i * pitch;
      let below = 0;
      // One colour lies at one height, as far as that goes, whatever the order of the parts.
      const parts = batch.parts.map((part) => ({ ...part, colour: colourOf(part.job) }));
      for (const { count, colour } of parts.sort((a, b) => a.colour.localeCompare(b.colour))) {
        const [top, bottom] = [y(below + count), y(below)];
        // The gap tells neighbours apart where their colours do not.
        const height = Math.max(bottom - top - (below > 0 ? 1 : 0), 0.5);
        this.#bars.draw({ x, y: top, width: pitch - 1.5, height, class: colour });
        below += count;
      }
      const middle = x + (pitch - 1.5) / 2;
      this.#marks.draw({ d: shapeOf(batch.reason), transform: `translate(${middle} ${floor + 9}) scale(2.6)` });
    });
    const [first, last] = [batches[0], batches.at(-1)];
    if (first && last) {
      if (this.#width - left > 160) this.#text(timeOfDay(first.at), left, HEIGHT - 4, 'start');
      this.#text(timeOfDay(last.at), this.#width, HEIGHT - 4, 'end');
      const sizes = batches.map(({ size }) => size);
      const range = `of ${Math.min(...sizes)} to ${Math.max(...sizes)} chunks`;
      setAttribute(this.#svg, 'aria-label', `The last ${counted(batches.length, 'batch', 'batches')}, ${range}`);
    }
    for (const pool of [this.#lines, this.#bars, this.#marks, this.#texts]) pool.finish();
  }

  /**
   * @param {string} text
   * @param {number} x
   * @param {number} y
   * @param {'start' | 'end'} anchor
   */
  #text(text, x, y, anchor) {
    const drawn = this.#texts.draw({ x, y, 'text-anchor': anchor });
    if (drawn.textContent !== text) drawn.textContent = text;
  }
}
