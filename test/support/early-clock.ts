import type { Clock } from 'batch-please';
import type { TestClock } from 'batch-please/testing';

/** A clock whose timers ring a millisecond early, as those of `setTimeout` may. */
export function earlyClock(clock: TestClock): Clock {
  return {
    now: () => clock.now(),
    setTimer: (fn, ms) => clock.setTimer(fn, Math.max(0, ms - 1)),
    clearTimer: (handle) => {
      clock.clearTimer(handle);
    },
  };
}
