/** @import { Batch } from '../protocol.js' */

/** Batches that are kept, and the most that the chart shows. */
const KEPT = 120;

/** Colours that can be told apart; see `.colour-*` in the style sheet. */
const COLOURS = 7;

/**
 * The newest batches, and sums over all since the page was opened: both stay as large as they are however long the
 * page is open.
 */
export class BatchHistory {
  /** Oldest first. @type {Batch[]} */
  #batches = [];
  /** Index of its colour, by job id. @type {Map<string, number>} */
  #colours = new Map();
  #sums = { batches: 0, chunks: 0, fill: 0, mixed: 0 };

  /** @param {Batch[]} batches */
  add(batches) {
    for (const { size, capacity, parts } of batches) {
      this.#sums.batches += 1;
      this.#sums.chunks += size;
      this.#sums.fill += capacity > 0 ? size / capacity : 0;
      if (parts.length > 1) this.#sums.mixed += 1;
    }
    this.#batches = [...this.#batches, ...batches].slice(-KEPT);
  }

  get newest() {
    return this.#batches;
  }

  /** `undefined` before the first batch. Shares are 0..1. */
  get summary() {
    const { batches, chunks, fill, mixed } = this.#sums;
    if (batches === 0) return undefined;
    return { batches, chunks, meanSize: chunks / batches, meanFill: fill / batches, mixedShare: mixed / batches };
  }

  /**
   * Chunks in `batches` by job, most first.
   *
   * @param {Batch[]} batches
   */
  static byJob(batches) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { parts } of batches) {
      for (const { job, count } of parts) counts.set(job, (counts.get(job) ?? 0) + count);
    }
    return [...counts].map(([job, chunks]) => ({ job, chunks })).sort((a, b) => b.chunks - a.chunks);
  }

  /**
   * What triggered `batches`, the most frequent first.
   *
   * @param {Batch[]} batches
   */
  static byReason(batches) {
    /** @type {Map<string, { reason: string, batches: number, chunks: number }>} */
    const rows = new Map();
    for (const { reason, size } of batches) {
      const row = rows.get(reason) ?? { reason, batches: 0, chunks: 0 };
      row.batches += 1;
      row.chunks += size;
      rows.set(reason, row);
    }
    return [...rows.values()].sort((a, b) => b.batches - a.batches);
  }

  /** The class of a job's colour; those beyond the seventh share one. @param {string} job */
  colourOf(job) {
    const colour = this.#colours.get(job);
    return colour === undefined ? 'colour-other' : `colour-${colour}`;
  }

  /**
   * A job keeps its colour as long as it is seen; then the next one gets it.
   *
   * @param {string[]} running jobs that have a colour even before their first batch
   */
  assignColours(running) {
    const seen = new Set(running);
    for (const { parts } of this.#batches) for (const { job } of parts) seen.add(job);
    for (const job of this.#colours.keys()) if (!seen.has(job)) this.#colours.delete(job);
    const used = new Set(this.#colours.values());
    for (const job of seen) {
      if (this.#colours.has(job)) continue;
      const free = Array.from({ length: COLOURS }, (_, i) => i).find((i) => !used.has(i));
      if (free === undefined) return;
      used.add(free);
      this.#colours.set(job, free);
    }
  }
}
