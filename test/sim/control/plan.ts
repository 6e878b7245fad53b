import type { BatchPleaseOptions } from 'batch-please';
import type { Random } from 'batch-please/testing';
import type { State } from './records.js';

/** What may change while the batcher runs. */
export interface Limits {
  size: number;
  lanes: number;
  timeout: number;
  attempts: number;
  maxElapsed: number;
  minDelay: number;
  giveUp: 'hold' | 'drop' | 'split';
  maxPending: number;
}

export interface Plan extends Limits {
  age: number;
  idle: number;
  overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  /** `retry.delay` is given. */
  delays: boolean;
  deadLetter: boolean;
  postFlush: boolean;
  /** Per attempt: fails as a whole, in part, as too large; `batchSplit` throws; a hook calls back. */
  fails: number;
  partly: number;
  tooLarge: number;
  splitThrows: number;
  reenter: number;
  /** Of so many items one can never be delivered. */
  poison: number;
  slow: number;
  steps: number;
  /** The sink works in the end. */
  calm: boolean;
}

export function drawLimits(random: Random): Limits {
  return {
    size: random.pick([1, 2, 3, 4, 8, 16, Infinity]),
    lanes: random.pick([1, 1, 1, 2, 3, Infinity]),
    timeout: random.chance(0.3) ? 24 : Infinity,
    attempts: random.pick([1, 1, 2, 3, Infinity]),
    maxElapsed: random.chance(0.2) ? random.pick([4, 20, 100]) : Infinity,
    minDelay: random.pick([0, 1, 8, 40]),
    giveUp: random.pick(['hold', 'drop', 'split', 'split']),
    maxPending: random.chance(0.3) ? random.pick([2, 5, 12]) : Infinity,
  };
}

export function drawPlan(random: Random): Plan {
  const some = (p: number, value: number, otherwise = 0): number => (random.chance(p) ? value : otherwise);
  return {
    ...drawLimits(random),
    age: some(0.4, random.pick([20, 60]), Infinity),
    idle: some(0.25, random.pick([12, 40]), Infinity),
    overflow: random.pick(['wait', 'wait', 'reject', 'dropNewest', 'dropOldest']),
    delays: random.chance(0.4),
    deadLetter: random.chance(0.4),
    postFlush: random.chance(0.2),
    fails: some(0.6, random.pick([0.1, 0.4, 0.9])),
    partly: some(0.6, random.pick([0.2, 0.6])),
    tooLarge: some(0.3, 0.3),
    splitThrows: some(0.1, 0.3),
    reenter: some(0.3, 0.1),
    poison: some(0.3, random.pick([3, 10])),
    slow: random.pick([0, 0.3, 0.8]),
    steps: 10 + random.int(30),
    calm: random.chance(0.7),
  };
}

const none = <T>(value: T): T | null => ((value as unknown) === Infinity ? null : value);

/** The options of these limits, as the constructor and `configure` take them. */
export function optionsOf(limits: Limits, delay: unknown): BatchPleaseOptions<number, State> {
  const { attempts, minDelay, maxElapsed } = limits;
  return {
    maxBatchSize: none(limits.size),
    flushConcurrency: limits.lanes,
    flushTimeout: none(limits.timeout),
    retry: {
      ...{ attempts, minDelay, maxElapsed: none(maxElapsed), maxDelay: 100, factor: 2, jitter: false },
      delay: delay as () => undefined,
    },
    giveUp: limits.giveUp,
    maxPending: none(limits.maxPending),
  };
}
