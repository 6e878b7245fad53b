/** The facts about a handled batch from which a `batchSizeGrowth` function computes the next limit. */
export interface BatchOutcome {
  /** Messages in the batch; a `castBatch` may have made it larger than the limit. */
  readonly size: number;
  /** Whether the batch reached the limit. If not, the mailbox had nothing more. */
  readonly full: boolean;
  /** Milliseconds from the start of the handler to its end, the continue chain included. */
  readonly duration: number;
  /** The option `minBatchSize`. */
  readonly min: number;
  /** The option `maxBatchSize`. */
  readonly max: number;
}

/**
 * Computes the next limit from the one in force when the batch was cut. The result may be a fraction, which is kept, so
 * that slow growth of a small limit is not rounded away; a batch is cut at its whole part. `SizeLimit` keeps it within
 * `min` and `max`.
 */
export type Growth = (limit: number, outcome: BatchOutcome) => number;

/** Doubles the limit after a full batch and halves it after any other. */
export const exponential: Growth = (limit, { full }) => (full ? limit * 2 : Math.floor(limit / 2));

/** Adds `step` after a full batch and halves the limit after any other. */
export function aimd(step: number): Growth {
  return (limit, { full }) => (full ? limit + step : Math.floor(limit / 2));
}

/** Keeps the limit at `max`. */
export const fixed: Growth = (_limit, { max }) => max;

/** Factor applied after a batch that took too long, as in Clipper. */
const BACK_OFF = 0.9;
/**
 * Fraction by which the limit grows after each full batch near the target. One back-off undoes twenty such steps, so in
 * the steady state one batch in twenty takes too long: the 95th percentile is at the target.
 */
const GAIN = (1 - BACK_OFF) / 20;
/**
 * In the steady state one batch in twenty takes too long. After this many in a row that were in time, the limit is far
 * below the target: a message costs little compared to the fixed cost, and small steps would take hundreds of batches.
 */
const IN_TIME_BEFORE_JUMPS = 32;
/** Weight of the last batch in the moving averages of mean and spread. */
const FRESH = 0.25;
const FRESH_SPREAD = 0.1;
/** Below this fraction of the target the limit jumps; above, it grows by `GAIN`. */
const NEAR = 0.9;
/** Two batches show the cost of a message if their sizes differ by at least this fraction. */
const APART = 0.04;

/**
 * Finds the limit at which handling takes `target` milliseconds at the 95th percentile: additive increase and
 * multiplicative decrease (Clipper, NSDI 2017, section 4.3). Far from the target it jumps instead, since small steps would
 * take too long: at the start, and where most of the cost is fixed, so that larger batches hardly take longer.
 *
 * The function keeps the durations of past batches, so each server needs its own.
 */
export function latency(target: number): Growth {
  /** Moving average of duration / target at the present limit; NaN at first and after a jump. */
  let mean = NaN;
  /** Mean absolute deviation of the durations, as a fraction of the mean. */
  let spread = 0;
  /** Consecutive batches that were in time. */
  let inTime = 0;
  /** The limit is far below the target: since the start, or again. */
  let seeking = true;
  /** The last batch of a different size, and the increase of the ratio per message computed from it. */
  let last = { size: NaN, ratio: NaN };
  let slope = NaN;
  return (limit, { size, full, duration, min, max }) => {
    const ratio = duration / target;
    // A batch that was not full says nothing about larger ones, unless it took too long already.
    if (!full) return ratio > 1 ? Math.max(min, Math.min(limit, size) * BACK_OFF) : limit;
    if (Number.isNaN(mean)) mean = ratio;
    else if (mean > 0) {
      // Capped, so that a change of the cost itself does not count as noise for long.
      spread += FRESH_SPREAD * (Math.min(Math.abs(ratio / mean - 1), 1) - spread);
      mean += FRESH * (ratio - mean);
    }
    // For normally distributed noise the 95th percentile is two mean absolute deviations above the mean.
    const high = mean * (1 + 2 * spread);
    inTime = ratio > 1 ? 0 : inTime + 1;
    if (!(Math.abs(size / last.size - 1) < APART)) {
      slope = (ratio - last.ratio) / (size - last.size);
      last = { size, ratio };
    }
    // Increase of the ratio when the limit doubles: at most the ratio itself, if messages make up all of the cost.
    const known = Number.isNaN(slope) ? ratio : Math.min(ratio, Math.max(slope * limit, ratio / 100));
    const rise = Math.max(known, 0.001);
    if (ratio > 1) seeking = false;
    else if (inTime > IN_TIME_BEFORE_JUMPS) seeking = true;
    let factor = 1 + GAIN;
    if (ratio > 2) factor = Math.max(0.1, 1 / ratio);
    else if (ratio > 1) factor = BACK_OFF;
    else if (seeking) factor = Math.min(2, 1 + Math.max(GAIN, (1 - high) / 2 / rise));
    else if (high < NEAR) factor = Math.min(2, NEAR / Math.max(high, 0.01));
    const next = Math.min(max, Math.max(min, limit * factor));
    mean = factor > 1.1 || ratio > 2 ? NaN : mean + (next / limit - 1) * rise;
    return next;
  };
}
