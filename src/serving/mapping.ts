import { Deferred } from '../core/promise.js';
import { type Clock, within } from '../core/clock.js';
import type { Call } from './row.js';

/** Calls whose values, or whose results, are being mapped: in no batch, and yet closing has to know of them. */
export class Mapping {
  /** With how many values; a call has one map at a time. */
  readonly #calls = new Map<Call, number>();
  #emptied: Deferred | undefined;

  start(call: Call, count: number, work: PromiseLike<unknown>): void {
    const done = (): void => {
      this.leave(call);
    };
    this.#calls.set(call, count);
    work.then(done, done);
  }

  /** Its map has ended, or its caller waits no more. */
  leave(call: Call): void {
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#emptied?.resolve();
  }

  /** Waits for all of them, until the deadline. */
  async settle(clock: Clock, deadline: number): Promise<void> {
    while (this.#calls.size > 0) {
      const patience = deadline - clock.now();
      if (patience <= 0) return;
      this.#emptied = new Deferred();
      await within(clock, patience, this.#emptied.promise, () => undefined);
    }
  }

  /** Those that are left get the error; how many values that were. */
  fail(error: Error): number {
    let count = 0;
    for (const [call, size] of [...this.#calls]) {
      count += size;
      call.fail(error);
    }
    return count;
  }
}
