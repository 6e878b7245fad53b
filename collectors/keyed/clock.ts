import type { Clock } from '../../src/index.js';

/** A timer that rings up to so many ms early has rung in time. */
const EARLY = 2;
/** A timer that is so many ms late has been taken away, by a platform or a test framework. */
const LOST = 1000;

export interface KeyedTimer {
  /** The time for which it was set. */
  readonly at: number;
  readonly setBy: unknown;
  readonly handle: unknown;
  readonly clear: (handle: unknown) => void;
}

/**
 * A clock made safe, as each key's collector makes it for itself: what throws or returns no number is replaced by the
 * last time, or a real timer; fake timers may come and leave, and may leave the time alone.
 */
export class KeyedClock {
  readonly #clock: Clock | undefined;
  #last = 0;
  #ahead = 0;

  /** `undefined`: the time and timers of the platform, looked up at each call, since fake ones replace them. */
  constructor(clock: Clock | undefined) {
    this.#clock = clock;
  }

  now(): number {
    try {
      const now: unknown = this.#clock === undefined ? performance.now() : this.#clock.now();
      if (typeof now === 'number' && now + this.#ahead >= this.#last) this.#last = now + this.#ahead;
      else if (this.#clock === undefined) this.#ahead = this.#last - Number(now); // fake timers came or left
    } catch {
      // A time that stands still is late, not lost.
    }
    return this.#last;
  }

  setTimer(fn: () => void, ms: number): KeyedTimer {
    const at = this.now() + ms;
    const clock = this.#clock;
    const setBy = setTimeout;
    if (clock !== undefined) {
      try {
        const clear = (handle: unknown): void => {
          clock.clearTimer(handle);
        };
        return { at, setBy, handle: clock.setTimer(fn, ms), clear };
      } catch {
        // A real one stands in.
      }
    }
    return { at, setBy, handle: setTimeout(fn, ms), clear: clearTimeout as KeyedTimer['clear'] };
  }

  clearTimer(timer: KeyedTimer): void {
    try {
      timer.clear(timer.handle);
    } catch {
      // A timer too many only looks too early.
    }
  }

  isLost(timer: KeyedTimer, now: number): boolean {
    return timer.setBy !== setTimeout || timer.at + LOST < now;
  }

  /** The timer has rung: its time has come, whatever the clock says. */
  reached(timer: KeyedTimer): void {
    const behind = timer.at - this.now();
    if (behind > EARLY) this.#ahead += behind;
  }
}

/** The timer keeps no process alive. */
export function unref({ handle }: KeyedTimer): void {
  const { unref: release } = (handle ?? {}) as { unref?: () => void };
  if (typeof release === 'function') release.call(handle);
}
