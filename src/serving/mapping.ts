import type { Work } from './portions.js';
import { Deferred } from '../core/promise.js';
import { type Clock, within } from '../core/clock.js';

/** Work for which `close` waits: a map of values or results, or work in the caller. */
export interface Mapped {
  fail(error: unknown): void;
  /** The serving is being closed. */
  closing?(): void;
}

/** Calls whose values or results are being mapped, or that run in the caller. They are in no batch. */
export class Mapping {
  /** With the number of their values; a call has one such work at a time. */
  readonly #calls = new Map<Mapped, number>();
  /** Streams of such work that were begun: between two reads they have none, yet their serving is in use. */
  streams = 0;
  #emptied: Deferred | undefined;

  get size(): number {
    return this.#calls.size;
  }

  start(call: Mapped, count: number, work: PromiseLike<unknown>): void {
    const done = (): void => {
      this.leave(call);
    };
    this.#calls.set(call, count);
    work.then(done, done);
  }

  /** Its map has ended, or its caller no longer waits. */
  leave(call: Mapped): void {
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#emptied?.resolve();
  }

  closing(): void {
    for (const work of this.#calls.keys()) work.closing?.();
  }

  /** Waits for all of them, until the deadline. */
  async settle(clock: Clock, deadline: number): Promise<void> {
    while (this.#calls.size > 0) {
      const rest = deadline - clock.now();
      if (rest <= 0) return;
      this.#emptied = new Deferred();
      await within(clock, rest, this.#emptied.promise, () => undefined);
    }
  }

  /** Rejects the calls that are left; returns how many values they have. */
  fail(error: Error): number {
    let count = 0;
    for (const size of this.#calls.values()) count += size;
    const failing = this.failing(error);
    while (failing.next().done !== true);
    return count;
  }

  /** Rejects a call that is left with each step. */
  *failing(error: Error): Work {
    for (const call of [...this.#calls.keys()]) {
      call.fail(error);
      yield 1;
    }
  }
}
