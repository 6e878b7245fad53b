/** The source of time and timers. `TestClock` of `batch-please/testing` is one that a test moves. */
export interface Clock {
  /** Milliseconds that never go backwards, from any origin. */
  now(): number;
  /** Calls `fn` once, `ms` milliseconds from now (0 to 2^31 − 1). Returns a handle for `clearTimer`. */
  setTimer(fn: () => void, ms: number): unknown;
  /** Cancels a timer that has not fired. */
  clearTimer(handle: unknown): void;
}

/** Looks the globals up at each call, so that test frameworks which replace them are obeyed. */
export const systemClock: Clock = {
  now: () => performance.now(),
  // A timer is cleared by the partner of what has set it, which a test framework may have replaced meanwhile.
  setTimer: (fn, ms) => ({ handle: setTimeout(fn, ms), clear: clearTimeout }),
  clearTimer: (timer) => {
    const { handle, clear } = timer as { handle: ReturnType<typeof setTimeout>; clear: typeof clearTimeout };
    clear(handle);
  },
};

export function isSystem(clock: Clock): boolean {
  return clock === systemClock || (clock instanceof SafeClock && clock.isSystem);
}

/** Where there is no such thing (a browser), a timer of zero stands in. */
interface Immediates {
  setImmediate?: (fn: () => void) => unknown;
  clearImmediate?: (handle: unknown) => void;
}

/**
 * Calls `fn` once, when the present turn of the event loop has ended; returns a function that calls it off.
 *
 * The end of a turn is no matter of time, so it comes by itself under every clock; but a clock that is moved by hand
 * finds it as a timer of zero as well, so that moving the clock leaves nothing behind that was due.
 */
export function endOfTurn(clock: Clock, fn: () => void): () => void {
  const { setImmediate, clearImmediate } = globalThis as Immediates;
  if (isSystem(clock) && typeof setImmediate === 'function') {
    const immediate = setImmediate(fn);
    return () => {
      if (typeof clearImmediate === 'function') clearImmediate(immediate);
    };
  }
  const cancel = (): void => {
    clock.clearTimer(timer);
    if (immediate !== undefined && typeof clearImmediate === 'function') clearImmediate(immediate);
  };
  const once = (): void => {
    cancel();
    fn();
  };
  const timer = clock.setTimer(once, 0);
  const immediate = typeof setImmediate === 'function' ? setImmediate(once) : undefined;
  return cancel;
}

/** Beyond this setTimeout fires after one millisecond. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** Timers ring up to a millisecond early, in ms. */
const EARLY = 2;

/** Lateness of a timer, in ms, from which on the process is taken to have stood still, and not to be merely busy. */
export const FROZEN = 50;

/** Whether the timer keeps the process alive; a clock's handle may have no say in that. */
function refer(timer: unknown, holds: boolean): void {
  let handle = timer;
  for (let inner = timer; inner != null; inner = (inner as { handle?: unknown }).handle) handle = inner;
  const { ref, unref } = (handle ?? {}) as { ref?: () => void; unref?: () => void };
  if (holds && typeof ref === 'function') ref.call(handle);
  if (!holds && typeof unref === 'function') unref.call(handle);
}

/**
 * One timer that rings when a deadline has come.
 *
 * A deadline that moves later leaves the armed timer alone: it rings too early once and is set again, which is cheaper
 * than a new timer at each move.
 */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: (now: number) => void;
  readonly #unref: boolean;
  readonly #wake = (): void => {
    this.#onTimer();
  };
  #deadline = Infinity;
  #target = Infinity; // what the armed timer was set for; Infinity: none is armed
  #handle: unknown;
  #setBy: unknown;
  #holds = false;

  constructor(clock: Clock, ring: (now: number) => void, unref: boolean) {
    this.#clock = clock;
    this.#ring = ring;
    this.#unref = unref;
  }

  /** `holds`: a caller waits, so the timer keeps the process alive, also with `unref`. */
  set(deadline: number, now: number = this.#clock.now(), holds = false): void {
    this.#deadline = deadline;
    if (holds !== this.#holds) this.#hold(holds);
    if (deadline < this.#target || (this.#target < Infinity && this.#isLost(now))) {
      this.#disarm();
      if (deadline < Infinity) this.#arm(now);
    } else if (deadline === Infinity) {
      this.#disarm();
    }
  }

  /** Whether the timer may have been taken away: it is overdue, or a test framework has replaced the timers since. */
  #isLost(now: number): boolean {
    return this.#target + 1 < now || this.#setBy !== setTimeout;
  }

  #hold(holds: boolean): void {
    this.#holds = holds;
    if (!this.#unref || this.#target === Infinity) return;
    refer(this.#handle, holds);
  }

  /**
   * `seen` is the caller's time. It may be ahead of the clock (under fake timers that leave the clock alone a timer
   * rings before its time), or behind it: a deadline that was counted from a later moment would wait too long.
   */
  #arm(seen: number): void {
    const wait = this.#deadline - Math.max(seen, this.#clock.now());
    this.#target = wait > LONGEST_TIMER ? this.#deadline - wait + LONGEST_TIMER : this.#deadline;
    this.#setBy = setTimeout;
    // Node cuts fractions off, which would ring up to a millisecond early.
    this.#handle = this.#clock.setTimer(this.#wake, Math.ceil(Math.min(Math.max(wait, 0), LONGEST_TIMER)));
    if (this.#unref && !this.#holds) refer(this.#handle, false);
  }

  #disarm(): void {
    if (this.#target === Infinity) return;
    // A process that stood still waits for no timer, but for the end of its turn.
    if (this.#handle !== undefined) this.#clock.clearTimer(this.#handle);
    this.#target = Infinity;
    this.#handle = undefined;
  }

  #onTimer(): void {
    const target = this.#target;
    this.#target = Infinity;
    this.#handle = undefined;
    if (this.#deadline === Infinity) return;
    if (this.#clock instanceof SafeClock) this.#clock.reached(target);
    const now = this.#clock.now();
    const { setImmediate } = globalThis as Immediates;
    if (now - target > FROZEN && isSystem(this.#clock) && typeof setImmediate === 'function') {
      // The process stood still: answers that have arrived meanwhile are read before an attempt counts as too slow.
      this.#target = target;
      this.#handle = undefined;
      setImmediate(() => {
        if (this.#target === target && this.#handle === undefined) this.#reach(target, this.#clock.now());
      });
    } else this.#reach(target, now);
  }

  #reach(target: number, now: number): void {
    this.#target = Infinity;
    // The timer that was set for the deadline says that it has come, even if the finer clock is a fraction behind.
    if (target >= this.#deadline) this.#ring(Math.max(now, this.#deadline));
    else if (this.#deadline < Infinity) this.#arm(now);
  }
}

/**
 * A clock made safe: what throws or returns no number is replaced by the last time, or a real timer. Time also moves
 * with the timers, since fake timers that leave the clock alone ring long before their time.
 */
export class SafeClock implements Clock {
  readonly isSystem: boolean;
  readonly #clock: Clock;
  #last = 0;
  #ahead = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.isSystem = clock === systemClock;
  }

  now(): number {
    try {
      const now: unknown = this.#clock.now();
      if (typeof now === 'number' && now + this.#ahead >= this.#last) this.#last = now + this.#ahead;
      else if (this.isSystem && typeof now === 'number') this.#ahead = this.#last - now; // fake timers came or left
    } catch {
      // A time that stands still is late, not lost.
    }
    return this.#last;
  }

  setTimer(fn: () => void, ms: number): unknown {
    try {
      return { clock: this.#clock, handle: this.#clock.setTimer(fn, ms) };
    } catch {
      return { clock: systemClock, handle: systemClock.setTimer(fn, ms) };
    }
  }

  clearTimer(timer: unknown): void {
    const { clock, handle } = timer as { clock: Clock; handle: unknown };
    try {
      clock.clearTimer(handle);
    } catch {
      // A timer too many only looks too early.
    }
  }

  /** A timer has rung for this moment: it is not earlier. */
  reached(moment: number): void {
    const behind = moment - this.now();
    if (behind > EARLY) this.#ahead += behind;
  }
}

/** Waits for the work, but no longer than `ms`; then `late` is called, and the wait ends. */
export function within(clock: Clock, ms: number, work: Promise<unknown>, late: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(
      () => {
        late();
        resolve();
      },
      Math.min(ms, LONGEST_TIMER),
    );
    work.then(
      () => {
        clock.clearTimer(timer);
        resolve();
      },
      (error: unknown) => {
        clock.clearTimer(timer);
        reject(error);
      },
    );
  });
}
