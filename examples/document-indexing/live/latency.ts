import { createHistogram } from 'node:perf_hooks';
import type { RecordableHistogram } from 'node:perf_hooks';

/** The histogram counts whole numbers from 1: tenths of a millisecond. */
const UNIT = 0.1;

/** Quantiles of any number of durations, in a few kilobytes. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: 100_000_000, figures: 2 });

  record(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds / UNIT)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  /** Milliseconds. */
  at(percent: number): number {
    return this.#histogram.count === 0 ? 0 : Math.round(this.#histogram.percentile(percent)) * UNIT;
  }
}
