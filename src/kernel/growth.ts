/** How a batch went, for the next limit. */
export interface BatchOutcome {
  /** Entries in it; may be more than the limit. */
  readonly size: number;
  /** It reached the limit. If not, nothing more was there to take. */
  readonly full: boolean;
  /** Milliseconds that it took to handle. */
  readonly duration: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The next limit, from the one in force when the batch was cut. It may be a fraction, which is kept, so that slow growth
 * of a small limit is not rounded away; what counts is its whole part. Whoever asks keeps it within `min` and `max`.
 */
export type Growth = (limit: number, outcome: BatchOutcome) => number;

/** Twice as large after a full batch, half as large after one that was not. */
export const exponential: Growth = (limit, { full }) => (full ? limit * 2 : Math.floor(limit / 2));

/** Larger by `step` after a full batch, half as large after one that was not. */
export function aimd(step: number): Growth {
  return (limit, { full }) => (full ? limit + step : Math.floor(limit / 2));
}

/** Always as large as it may be. */
export const fixed: Growth = (_limit, { max }) => max;

/** By what a batch that took too long makes the limit smaller, as in Clipper. */
const BACK_OFF = 0.9;
/**
 * How much of itself the limit gains with each full batch near the target. One back-off undoes twenty such gains, so at
 * rest one batch in twenty takes too long: the 95th percentile is at the target.
 */
const GAIN = (1 - BACK_OFF) / 20;
/**
 * At rest a batch takes too long now and then. After so many in a row that were in time the target is out of sight (where
 * most of the cost is fixed, larger batches hardly take longer), and the gain doubles every so many batches.
 */
const PATIENCE = 16;
const DOUBLING = 2;
const FASTEST = 0.1;
/** Of the estimates, how much the last batch makes up. */
const FRESH = 0.25;
const FRESH_SPREAD = 0.1;
/** Up to this part of the target the limit jumps, beyond it creeps. */
const NEAR = 0.9;

/**
 * The limit at which handling takes `target` milliseconds at the 95th percentile: additive increase and multiplicative
 * decrease (Clipper, NSDI 2017, section 4.3), and jumps while it is so far off that those would take for ever.
 *
 * It remembers how long batches took, so each server needs its own.
 */
export function latency(target: number): Growth {
  /** Of the ratio of duration to target, at the present limit; unknown at first, and after a jump. */
  let mean = NaN;
  /** By which fraction of the mean the durations differ from it, on average. */
  let spread = 0.05;
  /** Batches in a row that were in time. */
  let inTime = 0;
  return (limit, { size, full, duration, min, max }) => {
    const ratio = duration / target;
    // A batch that was not full shows nothing of larger ones, unless even it took too long.
    if (!full) return ratio > 1 ? Math.max(min, Math.min(limit, size) * BACK_OFF) : limit;
    if (Number.isNaN(mean)) mean = ratio;
    else if (mean > 0) {
      // A change of the cost itself must not pass for noise for long.
      spread += FRESH_SPREAD * (Math.min(Math.abs(ratio / mean - 1), 1) - spread);
      mean += FRESH * (ratio - mean);
    }
    // Of normal noise, the 95th percentile is two mean absolute deviations above the mean.
    const high = mean * (1 + 2 * spread);
    inTime = ratio > 1 ? 0 : inTime + 1;
    let factor = 1 + Math.min(FASTEST, GAIN * 2 ** Math.max(0, (inTime - PATIENCE) / DOUBLING));
    if (ratio > 2) factor = Math.max(0.1, 1 / ratio);
    else if (ratio > 1) factor = BACK_OFF;
    else if (high < NEAR) factor = Math.min(2, NEAR / Math.max(high, 0.01));
    const next = Math.min(max, Math.max(min, limit * factor));
    mean = factor > 1.1 || ratio > 2 ? NaN : mean * (next / limit);
    return next;
  };
}
