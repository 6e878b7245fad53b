import { type Growth, aimd, exponential, fixed, latency } from './growth.js';
import type { BatchServerConfig } from './types.js';

/** The batch size limit in force. */
export class SizeLimit {
  /** Whole number of messages at which a batch is full. */
  size: number;
  readonly #min: number;
  readonly #max: number;
  readonly #growth: Growth;
  readonly #report: (message: string, error: unknown) => void;
  /** The limit with its fraction. */
  #exact: number;

  constructor(config: BatchServerConfig, report: (message: string, error: unknown) => void) {
    const { minBatchSize, maxBatchSize, batchSizeGrowth } = config;
    this.#min = minBatchSize;
    this.#max = maxBatchSize;
    this.#growth = growthOf(batchSizeGrowth);
    this.#report = report;
    this.#exact = batchSizeGrowth === 'fixed' ? maxBatchSize : minBatchSize;
    this.size = Math.floor(this.#exact);
  }

  /** Computes the next limit from a handled batch. A growth function that fails or returns no number changes nothing. */
  adapt(size: number, full: boolean, duration: number): void {
    let next: unknown;
    try {
      next = this.#growth(this.#exact, { size, full, duration, min: this.#min, max: this.#max });
    } catch (error) {
      this.#report('batchSizeGrowth threw', error);
      return;
    }
    if (typeof next !== 'number' || Number.isNaN(next)) {
      this.#report('batchSizeGrowth returned no number', undefined);
      return;
    }
    this.#exact = Math.min(this.#max, Math.max(this.#min, next));
    this.size = Math.floor(this.#exact);
  }
}

function growthOf(growth: BatchServerConfig['batchSizeGrowth']): Growth {
  if (typeof growth === 'function') return (limit, outcome) => growth(Math.floor(limit), outcome);
  if (growth === 'exponential') return exponential;
  if (growth === 'fixed') return fixed;
  return 'aimd' in growth ? aimd(growth.aimd) : latency(growth.latency);
}
