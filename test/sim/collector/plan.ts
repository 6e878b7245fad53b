import type { BatchPleaseConfig } from 'batch-please';
import type { Random } from 'batch-please/testing';

/** What a hook may do. The weights of a `Manners` say how often. */
export type Manner = 'now' | 'soon' | 'later' | 'throw' | 'reject' | 'rejectLater' | 'hang' | 'twice' | 'late';
export type Manners = readonly (readonly [Manner, number])[];

/** What a run may contain, so that a search can leave out what is known to be broken. */
export const FEATURES = ['reenterShouldFlush', 'heldOverdue', 'reenter', 'closeInHook'] as const;
export type Feature = (typeof FEATURES)[number];

export interface Plan {
  size: number;
  weight: number;
  age: number;
  sinceFlush: number;
  interval: number;
  shouldFlush: 'none' | 'count' | 'chance';
  lanes: number;
  timeout: number;
  attempts: number;
  minDelay: number;
  maxDelay: number;
  factor: number;
  jitter: boolean;
  giveUp: 'hold' | 'drop';
  maxPending: number;
  overflow: BatchPleaseConfig['overflow'];
  highWaterMark: number;
  /** The add hook returns the next state instead of changing the one it is given. */
  pure: boolean;
  preFlush: 'none' | 'keep' | 'replace';
  postFlush: boolean;
  deadLetter: boolean;
  init: Manners;
  add: Manners;
  pre: Manners;
  flush: Manners;
  post: Manners;
  terminate: Manners;
  weighThrows: number;
  /** How often hooks and listeners call back. */
  reenter: number;
  listenersThrow: boolean;
  steps: number;
  /** Whether the hooks behave before the end, so that everything has to be delivered. */
  calm: boolean;
}

const FINE: Manners = [['now', 1]];

/**
 * Times that the library counts are multiples of 4, times that hooks take are not, nor is what two of them take
 * together: nothing ever ends at the very moment at which it expires.
 */
export function drawPlan(random: Random): Plan {
  const some = <T>(p: number, list: readonly T[], otherwise: T): T =>
    random.chance(p) ? random.pick(list) : otherwise;
  const timeout = some(0.45, [20, 40], Infinity);
  const wild = random.chance(0.7);
  const manners = (p: number, failing: boolean): Manners => {
    if (!wild || !random.chance(p))
      return random.chance(0.5)
        ? FINE
        : [
            ['now', 1],
            ['soon', 2],
            ['later', 2],
          ];
    const trouble: [Manner, number][] = [];
    if (failing) trouble.push(['throw', random.int(3)], ['reject', random.int(3)], ['rejectLater', random.int(3)]);
    if (timeout < Infinity) trouble.push(['hang', random.int(2)], ['late', random.int(3)]);
    else if (random.chance(0.03)) trouble.push(['hang', 1]);
    return [['now', 3], ['soon', 2], ['later', 3], ['twice', random.int(2)], ...trouble];
  };
  const interval = some(0.2, [60, 100], Infinity);
  return {
    size: some(0.75, [1, 2, 3, 4, 5, 8], Infinity),
    weight: some(0.25, [3, 5, 10], Infinity),
    age: some(0.4, [20, 40, 100], Infinity),
    sinceFlush: some(0.2, [40, 80], Infinity),
    interval,
    shouldFlush: some<Plan['shouldFlush']>(0.15, ['count', 'chance'], 'none'),
    lanes: some(0.4, [2, 3, 4], 1),
    timeout,
    attempts: some(0.6, [1, 1, 2, 3], Infinity),
    minDelay: random.pick([0, 1, 4, 8, 16]),
    maxDelay: random.pick([16, 64]),
    factor: random.pick([1, 2, 3]),
    jitter: random.chance(0.08),
    giveUp: random.pick(['hold', 'drop']),
    maxPending: some(0.35, [1, 2, 3, 5, 8], Infinity),
    overflow: random.pick(['wait', 'wait', 'reject', 'dropNewest', 'dropOldest']),
    highWaterMark: some(0.2, [1, 3, 6], Infinity),
    pure: random.chance(0.4),
    preFlush: some<Plan['preFlush']>(0.35, ['keep', 'replace'], 'none'),
    postFlush: random.chance(0.3),
    deadLetter: random.chance(0.5),
    init: manners(0.25, true),
    add: manners(0.35, true),
    pre: manners(0.4, true),
    flush: manners(0.6, true),
    post: manners(0.5, true),
    terminate: manners(0.2, true),
    weighThrows: some(0.3, [0.1], 0),
    reenter: wild ? some(0.35, [0.05, 0.2], 0) : 0,
    listenersThrow: random.chance(0.1),
    steps: 5 + random.int(30),
    calm: random.chance(0.6),
  };
}

/** The plan's distribution, drawn once. */
export function drawManner(random: Random, manners: Manners): Manner {
  let total = 0;
  for (const [, weight] of manners) total += weight;
  let at = random.next() * total;
  for (const [manner, weight] of manners) {
    if (at < weight) return manner;
    at -= weight;
  }
  return 'now';
}
