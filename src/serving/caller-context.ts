import type { Awaitable } from '../core/promise.js';

/**
 * Calls functions in the async context of the caller (`AsyncLocalStorage`), which a promise callback has from where it was
 * attached. One call at a time.
 */
export class CallerContext {
  #start!: (job: () => unknown) => void; // set by #attach
  #next!: Promise<unknown>; // set by #attach

  constructor() {
    this.#attach();
  }

  run<T>(job: () => Awaitable<T>): Promise<T> {
    const next = this.#next;
    this.#start(job);
    return next as Promise<T>;
  }

  #attach(): void {
    this.#next = new Promise<() => unknown>((resolve) => {
      this.#start = resolve;
    }).then((job) => {
      this.#attach();
      return job();
    });
  }
}
