import type { BatchServerConfig } from './types.js';
import { type Growth, aimd, exponential, fixed, latency } from './growth.js';
import type { Limits } from '../core/ledger.js';

/** The batch size limit, which follows the load; nothing else ever makes a batch of a server due. */
export class SizeLimit {
  /** For the engine, which looks at them whenever it cuts a batch. */
  readonly limits: Limits;
  readonly #min: number;
  readonly #max: number;
  readonly #growth: Growth;
  readonly #report: (message: string, error: unknown) => void;
  /** With its fraction. */
  #exact: number;

  constructor(config: BatchServerConfig, report: (message: string, error: unknown) => void) {
    const { minBatchSize, maxBatchSize, batchSizeGrowth } = config;
    this.#min = minBatchSize;
    this.#max = maxBatchSize;
    this.#growth = growthOf(batchSizeGrowth);
    this.#report = report;
    this.#exact = batchSizeGrowth === 'fixed' ? maxBatchSize : minBatchSize;
    const never = Infinity;
    this.limits = {
      size: this.#exact,
      weight: never,
      age: never,
      sinceFlush: never,
      interval: never,
      jitter: 0,
      lanes: 1,
      attempt: never,
      entry: never,
      random: Math.random,
    };
  }

  /** After a batch. */
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
    this.limits.size = Math.floor(this.#exact);
  }
}

function growthOf(growth: BatchServerConfig['batchSizeGrowth']): Growth {
  if (typeof growth === 'function') return (limit, outcome) => growth(Math.floor(limit), outcome);
  if (growth === 'exponential') return exponential;
  if (growth === 'fixed') return fixed;
  return 'aimd' in growth ? aimd(growth.aimd) : latency(growth.latency);
}
