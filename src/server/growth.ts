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
 * At rest one batch in twenty takes too long. After so many in a row that were in time the target is out of sight: an
 * entry costs little beside what is fixed, so that creeping there would take hundreds of batches.
 */
const PATIENCE = 32;
/** Of the estimates, how much the last batch makes up. */
const FRESH = 0.25;
const FRESH_SPREAD = 0.1;
/** Up to this part of the target the limit jumps, beyond it creeps. */
const NEAR = 0.9;
/** Two batches tell what an entry costs if one was larger by this fraction. */
const APART = 0.04;

/**
 * The limit at which handling takes `target` milliseconds at the 95th percentile: additive increase and multiplicative
 * decrease (Clipper, NSDI 2017, section 4.3), and jumps while it is so far off that those would take for ever: at the
 * start, and where most of the cost is fixed, so that larger batches hardly take longer.
 *
 * It remembers how long batches took, so each server needs its own.
 */
export function latency(target: number): Growth {
  /** Of the ratio of duration to target, at the present limit; unknown at first, and after a jump. */
  let mean = NaN;
  /** By which fraction of the mean the durations differ from it, on average. */
  let spread = 0;
  /** Batches in a row that were in time. */
  let inTime = 0;
  /** Whether the target has not been in sight since the start, or for long. */
  let seeking = true;
  /** An earlier batch, whose size was another; and by how much an entry more raises the ratio. */
  let last = { size: NaN, ratio: NaN };
  let slope = NaN;
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
    if (!(Math.abs(size / last.size - 1) < APART)) {
      slope = (ratio - last.ratio) / (size - last.size);
      last = { size, ratio };
    }
    // By how much the ratio rises when the limit doubles: by itself if all of the cost is in the entries, which is the most.
    const known = Number.isNaN(slope) ? ratio : Math.min(ratio, Math.max(slope * limit, ratio / 100));
    const rise = Math.max(known, 0.001);
    if (ratio > 1) seeking = false;
    else if (inTime > PATIENCE) seeking = true;
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
