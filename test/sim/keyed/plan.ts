import type { Random } from 'batch-please/testing';

/** What a run is decided by. */
export interface Plan {
  readonly keys: number;
  flushConcurrency: number;
  readonly keyConcurrency: number;
  maxPending: number;
  readonly maxKeys: number;
  readonly idleTimeout: number;
  readonly overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  maxBatchSize: number;
  readonly maxTimeSinceFirstItem: number | null;
  readonly flushTimeout: number | null;
  readonly retry: false | { attempts: number; minDelay: number; maxDelay: number; jitter: false };
  readonly giveUp: 'hold' | 'drop' | 'split';
  readonly postFlush: boolean;
  /** How often an attempt fails, hangs until its timeout, and takes no time. */
  readonly fails: number;
  readonly hangs: number;
  readonly sync: number;
  /** How often a hook or a listener adds an item. */
  readonly reentrant: number;
  readonly steps: number;
}

export function planOf(random: Random): Plan {
  const flushTimeout = random.chance(0.4) ? 20 + random.int(50) : null;
  return {
    keys: 1 + random.int(random.chance(0.2) ? 40 : 8),
    flushConcurrency: random.pick([1, 1, 2, 3, 5, Infinity]),
    keyConcurrency: random.pick([1, 1, 1, 2, 3]),
    maxPending: random.pick([Infinity, 1, 3, 10, 30]),
    maxKeys: random.pick([Infinity, Infinity, 1, 3, 6]),
    idleTimeout: random.pick([1, 20, 100, 60_000]),
    overflow: random.pick(['wait', 'wait', 'reject', 'dropNewest', 'dropOldest']),
    maxBatchSize: random.pick([1, 2, 3, 7, Infinity]),
    maxTimeSinceFirstItem: random.pick([null, 5, 30]),
    flushTimeout,
    retry: random.pick([
      false,
      { attempts: Infinity, minDelay: 5, maxDelay: 50, jitter: false },
      { attempts: 3, minDelay: 5, maxDelay: 20, jitter: false },
    ]),
    giveUp: random.pick(['hold', 'drop', 'split']),
    postFlush: random.chance(0.3),
    fails: random.pick([0, 0, 0.1, 0.4]),
    hangs: flushTimeout === null ? 0 : random.pick([0, 0.1]),
    sync: random.pick([0, 0.5, 1]),
    reentrant: random.pick([0, 0, 0.1]),
    steps: 40 + random.int(120),
  };
}

/** When a hook answers: within the call, a few microtasks later, or after some milliseconds. */
export type Answers = 'now' | 'soon' | 'later';

/** What the features add. They are drawn from another source: without them a seed is the run that it always was. */
export interface More {
  /** The hooks that add: ours, or those of `MemoryBatcher`. */
  readonly hooks: {
    readonly init: Answers;
    readonly add: Answers;
    readonly fails: number;
    readonly asks: number;
  } | null;
  /** How often a step adds for many callers at once, and how often a caller leaves. */
  readonly crowds: number;
  readonly leaves: number;
  /**
   * Whose collectors: the default ones; those of a factory that spreads its options; the same with a clock and triggers of
   * their own; those of a factory that ignores the options.
   */
  readonly factory: 'none' | 'spread' | 'timers' | 'alone';
  /** How often the factory throws, and how often a collector takes its time to close. */
  readonly factoryFails: number;
  readonly slowClose: number;
  /** How often a step changes limits. */
  readonly limits: number;
}

export const FEATURES = ['hooks', 'rooms', 'factories', 'limits'] as const;

export function moreOf(random: Random, without: ReadonlySet<string>): More {
  const answers = (): Answers => random.pick(['now', 'soon', 'later']);
  const hooks = { init: answers(), add: answers(), fails: random.pick([0, 0, 0.1]), asks: random.pick([0, 0, 0.2]) };
  const some = { hooks: random.chance(0.6), rooms: random.chance(0.6), factories: random.chance(0.6) };
  const has = (feature: keyof typeof some): boolean => some[feature] && !without.has(feature);
  const [crowds, leaves] = [random.pick([0.05, 0.2]), random.pick([0, 0.1])];
  const [factory, slow] = [random.pick(['spread', 'timers', 'timers', 'alone'] as const), random.pick([0, 0.5])];
  const factoryFails = random.pick([0, 0, 0.1]);
  const limits = !without.has('limits') && random.chance(0.4) ? random.pick([0.02, 0.1]) : 0;
  const factoryOr = has('factories') ? factory : 'none';
  return {
    hooks: has('hooks') ? hooks : null,
    crowds: has('rooms') ? crowds : 0,
    leaves: has('rooms') ? leaves : 0,
    factory: factoryOr,
    factoryFails: has('factories') ? factoryFails : 0,
    slowClose: has('factories') ? slow : 0,
    // Collectors of a factory have limits of their own.
    limits: factoryOr === 'none' ? limits : 0,
  };
}
