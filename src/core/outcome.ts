import { Deferred } from './promise.js';

let resolveOfLast!: () => void; // assigned by `capture`, which the constructor of a promise calls at once
let rejectOfLast!: (error: unknown) => void; // likewise
/** One function for all promises, so that a promise of an entry costs no closure of ours. */
const capture = (resolve: () => void, reject: (error: unknown) => void): void => {
  resolveOfLast = resolve;
  rejectOfLast = reject;
};
const ignore = (): void => undefined;

/**
 * The promises of callers that wait for the entries of one batch. A batch that cannot fail in part has one promise for
 * all of them; else each entry has its own.
 */
export class Outcome {
  /** Callers that handle a failure by `onError`. */
  heard = 0;
  #shared: Deferred | undefined;
  /** Three slots an entry: its promise, and the functions that settle it. One list is cheaper than three. */
  readonly #callers: (Promise<void> | ((error?: unknown) => void))[] = [];
  /** The places of the entries, from 0; left out while they are all those from the first on. */
  #places: number[] | undefined;

  constructor(readonly perEntry: boolean) {}

  /** `place`: where the entry is in its batch, from 0; larger at each call. */
  wait(place: number): Promise<void> {
    if (!this.perEntry) return (this.#shared ??= new Deferred()).promise;
    const callers = this.#callers;
    if (this.#places !== undefined || place * 3 !== callers.length) this.#placed(place);
    const promise = new Promise<void>(capture);
    callers.push(promise, resolveOfLast, rejectOfLast);
    return promise;
  }

  #placed(place: number): void {
    this.#places ??= Array.from({ length: this.#callers.length / 3 }, (_, i) => i);
    this.#places.push(place);
  }

  resolve(): void {
    this.#shared?.resolve();
    const callers = this.#callers;
    for (let i = 1; i < callers.length; i += 3) (callers[i] as () => void)();
  }

  reject(error: unknown): void {
    this.#shared?.reject(error);
    const callers = this.#callers;
    for (let i = 0; i < callers.length; i += 3) {
      (callers[i] as Promise<void>).catch(ignore);
      (callers[i + 2] as (error: unknown) => void)(error);
    }
  }

  /**
   * Moves the callers of some entries into another outcome. `places` maps the place of each entry to its new one, which
   * is negative (−1 for 0, −2 for 1, …) for an entry that moves. Needs a promise per entry.
   */
  split(places: (place: number) => number): { taken: Outcome; left: Outcome } {
    const [taken, left] = [new Outcome(true), new Outcome(true)];
    taken.heard = left.heard = this.heard;
    taken.#places = [];
    left.#places = [];
    const callers = this.#callers;
    for (let i = 0; i < callers.length; i += 3) {
      const place = places(this.#places?.[i / 3] ?? i / 3);
      const target = place < 0 ? taken : left;
      target.#places?.push(place < 0 ? -1 - place : place);
      target.#callers.push(...callers.slice(i, i + 3));
    }
    return { taken, left };
  }
}
