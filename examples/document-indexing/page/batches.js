/** @import { Batch, BatchNews, Totals } from '../protocol.js' */

/** Batches that are kept: as many as the server sends, and more than the chart shows. */
const KEPT = 200;

/** The newest batches, and the sums over all. */
export class BatchHistory {
  /** Oldest first. @type {Batch[]} */
  #batches = [];
  /** @type {Totals | undefined} */
  #totals;

  /** @param {BatchNews} news all that there is */
  replace({ batches, totals }) {
    this.#batches = batches.slice(-KEPT);
    this.#totals = totals;
  }

  /** @param {BatchNews} news what has come since */
  add({ batches, totals }) {
    const newest = this.#batches.at(-1)?.id ?? 0;
    this.#batches = [...this.#batches, ...batches.filter(({ id }) => id > newest)].slice(-KEPT);
    this.#totals = totals;
  }

  get newest() {
    return this.#batches;
  }

  /** `undefined` before the first batch. */
  get totals() {
    return this.#totals !== undefined && this.#totals.batches > 0 ? this.#totals : undefined;
  }

  /** The colour of a user who is in the chart. @param {string} user */
  colourOf(user) {
    for (let i = this.#batches.length - 1; i >= 0; i -= 1) {
      const part = this.#batches[i]?.parts.find((each) => each.user === user);
      if (part) return colourClass(part.colour);
    }
    return colourClass(-1);
  }
}

/** See `.colour-*` in the style sheet. @param {number} colour */
export function colourClass(colour) {
  return colour < 0 ? 'colour-other' : `colour-${colour}`;
}

/**
 * Requests by user, in the order of their colours: it stays the same while the numbers change.
 *
 * @param {Batch[]} batches
 */
export function byUser(batches) {
  /** @type {Map<string, { user: string, colour: number, count: number }>} */
  const sums = new Map();
  for (const { parts } of batches) {
    for (const { user, colour, count } of parts) {
      const sum = sums.get(user) ?? { user, colour, count: 0 };
      sum.count += count;
      sum.colour = colour;
      sums.set(user, sum);
    }
  }
  return [...sums.values()].sort((a, b) => rank(a) - rank(b) || (a.user < b.user ? -1 : 1));
}

/** Those without a colour of their own come last. @param {{ colour: number }} user */
function rank({ colour }) {
  return colour < 0 ? 1_000 : colour;
}
