import type { Awaitable, Clock } from '../src/index.js';

export interface Wait {
  /** Resolves when the time is over; never after `cancel`. */
  readonly passed: Promise<void>;
  readonly is: boolean;
  cancel(): void;
}

export function after(clock: Clock, delay: number): Wait {
  let timer: unknown;
  const wait = { passed: Promise.resolve(), is: false, cancel: () => clock.clearTimer(timer) };
  wait.passed = new Promise<void>((resolve) => {
    timer = clock.setTimer(() => {
      wait.is = true;
      resolve();
    }, delay);
  });
  return wait;
}

export function ignore(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}

/** For calls of an engine whose failure its lease repairs: a throw in a timer would end the process. */
export function contained(call: () => Awaitable<unknown>): void {
  try {
    Promise.resolve(call()).catch(() => undefined);
  } catch {
    // As above.
  }
}

/** A source that cannot be read must not end silently, whether or not the program awaits `done`. */
export function reportEnd(error: unknown): void {
  const warning = error instanceof Error ? error : new Error(String(error));
  (globalThis as { process?: NodeJS.Process }).process?.emitWarning(
    `a feed has ended: ${warning.message}`,
    'BatchPleaseFeed',
  );
}
