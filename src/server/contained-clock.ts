import { type Clock, systemClock } from '../core/clock.js';

/** A timer of the system's clock, in place of one that a user's clock did not set. */
class SystemTimer {
  constructor(readonly handle: unknown) {}
}

/**
 * A user's clock that cannot throw and does not go backwards, so that no caller waits for ever and no timer callback ends
 * the process because of it. A timer that it fails to set is set by the system's clock.
 */
class ContainedClock implements Clock {
  readonly #clock: Clock;
  readonly #report: (message: string, error: unknown) => void;
  #last = NaN;

  constructor(clock: Clock, report: (message: string, error: unknown) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  now(): number {
    try {
      const now = this.#clock.now();
      // What is not a number, or earlier than before, is ignored.
      if (Number.isFinite(now) && !(now < this.#last)) this.#last = now;
    } catch (error) {
      this.#report('clock.now threw', error);
    }
    return Number.isNaN(this.#last) ? 0 : this.#last;
  }

  setTimer(fn: () => void, ms: number): unknown {
    try {
      return this.#clock.setTimer(fn, ms);
    } catch (error) {
      this.#report('clock.setTimer threw', error);
      return new SystemTimer(systemClock.setTimer(fn, ms));
    }
  }

  clearTimer(handle: unknown): void {
    try {
      if (handle instanceof SystemTimer) systemClock.clearTimer(handle.handle);
      else this.#clock.clearTimer(handle);
    } catch (error) {
      this.#report('clock.clearTimer threw', error);
    }
  }
}

/** The system's clock as it is, which is the fast path; any other contained. */
export function contained(clock: Clock, report: (message: string, error: unknown) => void): Clock {
  return clock === systemClock ? clock : new ContainedClock(clock, report);
}
