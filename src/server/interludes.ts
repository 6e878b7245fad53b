import { Deque } from '../core/deque.js';

/** Work between two batches, while no hook runs. */
export interface Interlude {
  run: () => void;
  /** Called instead when the server has stopped. */
  fail: (error: unknown) => void;
}

/** The interludes that wait for the hook that runs. */
export class Interludes {
  readonly #waiting = new Deque<Interlude>();

  add(interlude: Interlude): void {
    this.#waiting.push(interlude);
  }

  /** Runs them in order, as long as `may` is true. */
  play(may: () => boolean): void {
    while (this.#waiting.length > 0 && may()) this.#waiting.shift()?.run();
  }

  failAll(error: unknown): void {
    for (const { fail } of this.#waiting.take(Infinity)) fail(error);
  }
}
