import type { Clock } from './core/clock.js';

interface Timer {
  at: number;
  fn: () => void;
}

/** A clock that stands still until a test moves it. */
export class TestClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  /** Milliseconds; 0 at first. */
  now(): number {
    return this.#now;
  }

  /** Arms a timer that `advance` fires. */
  setTimer(fn: () => void, ms: number): unknown {
    const timer = { at: this.#now + Math.max(ms, 0), fn };
    this.#timers.add(timer);
    return timer;
  }

  /** Cancels a timer that has not fired. */
  clearTimer(handle: unknown): void {
    this.#timers.delete(handle as Timer);
  }

  /** How many timers are armed. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /**
   * Moves the time to each timer in turn, and lets promise callbacks run before the first and after each one.
   * @throws RangeError for anything but milliseconds from 0 up
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`TestClock: advance: expected milliseconds from 0 up, given ${ms}`);
    const target = this.#now + ms;
    await settle();
    for (let next = this.#next(target); next !== undefined; next = this.#next(target)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
      await settle();
    }
    this.#now = Math.max(this.#now, target);
  }

  /** The earliest timer up to `target`; of equals the one set first. */
  #next(target: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= target && (next === undefined || timer.at < next.at)) next = timer;
    }
    return next;
  }
}

// Taken when the module is loaded: test frameworks replace the global, and a faked one would never come.
const { setImmediate: nextTurn } = globalThis as { setImmediate?: (fn: () => void) => unknown };

/** One turn of the event loop: every promise callback that is due has run. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    if (nextTurn !== undefined) nextTurn(resolve);
    else setTimeout(resolve, 0);
  });
}

/** An async function whose calls wait until a test settles them: a sink or a handler. */
export interface Gate<Args extends unknown[], Result> {
  /** Records the arguments; settles when `open`, `fail` or `openAll` says so. */
  (...args: Args): Promise<Result>;
  /** The arguments of every call. */
  readonly calls: Args[];
  /** How many calls wait. */
  readonly waiting: number;
  /** Resolves the oldest waiting call. @throws Error if none waits */
  open(result?: Result): void;
  /** Rejects the oldest waiting call. @throws Error if none waits */
  fail(error: unknown): void;
  /** Resolves all waiting calls, and all later ones at once. */
  openAll(result?: Result): void;
}

/**
 * Makes a function whose calls wait until a test settles them.
 * @example
 * const sink = gate();
 * const batcher = new MemoryBatcher({ maxBatchSize: 2, batchFlush: sink });
 * batcher.addItems([1, 2]);
 * sink.open(); // the flush of [1, 2] succeeds
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the types of the hook that it is used as are inferred
export function gate<Args extends unknown[] = any[], Result = any>(): Gate<Args, Result> {
  const calls: Args[] = [];
  const waiting: { resolve: (result: Result) => void; reject: (error: unknown) => void }[] = [];
  let through: { result: Result } | undefined;
  const enter = (...args: Args): Promise<Result> => {
    calls.push(args);
    if (through !== undefined) return Promise.resolve(through.result);
    return new Promise<Result>((resolve, reject) => {
      waiting.push({ resolve, reject });
    });
  };
  const oldest = (): { resolve: (result: Result) => void; reject: (error: unknown) => void } => {
    const call = waiting.shift();
    if (call === undefined) throw new Error('gate: no call waits');
    return call;
  };
  return Object.defineProperties(enter, {
    calls: { value: calls },
    waiting: { get: () => waiting.length },
    open: {
      value: (result?: Result) => {
        oldest().resolve(result as Result);
      },
    },
    fail: {
      value: (error: unknown) => {
        oldest().reject(error);
      },
    },
    openAll: {
      value: (result?: Result) => {
        through = { result: result as Result };
        for (const call of waiting.splice(0)) call.resolve(through.result);
      },
    },
  }) as Gate<Args, Result>;
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, n). */
  int(n: number): number;
  /** `true` with the probability `p`, 0…1. */
  chance(p: number): boolean;
  /** An element of the list. @throws RangeError if it is empty */
  pick<T>(list: readonly T[]): T;
}

/** Makes a sequence of numbers from a seed. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (n: number): number => Math.floor(next() * n);
  return {
    next,
    int,
    chance: (p) => next() < p,
    pick: <T>(list: readonly T[]): T => {
      if (list.length === 0) throw new RangeError('random: the list is empty');
      return list[int(list.length)] as T; // below its length
    },
  };
}
