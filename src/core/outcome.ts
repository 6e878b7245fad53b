import { Deferred, type Settle, capture, captured, ignorableRejection } from './promise.js';

const ignore = (): void => undefined;

/**
 * The promises of callers that wait for the entries of one batch: one for each, or for a batch that cannot fail in part one
 * for all.
 */
export class Outcome {
  /** Callers that handle a failure by `onError`. */
  handled = 0;
  readonly #all: Deferred | undefined;
  /**
   * The promise of each caller, and the function that resolves it. To keep the one that rejects it as well costs a third
   * more (docs/decisions/02), so a failure resolves it with a promise that rejects.
   */
  readonly #promises: Promise<void>[] = [];
  readonly #resolves: Settle[] = [];
  /** The places of the callers' entries, from 0; left out while they are all those from the first on. */
  #places: number[] | undefined;

  constructor(perEntry: boolean) {
    this.#all = perEntry ? undefined : new Deferred();
  }

  /** `place`: where the entry is in its batch, from 0; larger at each call. */
  wait(place: number): Promise<void> {
    if (this.#all !== undefined) return this.#all.promise;
    const promises = this.#promises;
    if (this.#places !== undefined || place !== promises.length) this.#placed(place);
    const promise = new Promise<void>(capture);
    promises.push(promise);
    this.#resolves.push(captured.resolve);
    return promise;
  }

  resolve(): void {
    this.#all?.resolve();
    for (const resolve of this.#resolves) resolve(undefined);
  }

  /** `errorOf`: the error for the entry at a place, where they differ. */
  reject(error: unknown, errorOf?: (place: number) => Error): void {
    this.#all?.reject(error);
    for (const promise of this.#promises) promise.catch(ignore);
    const rejection = ignorableRejection(error);
    for (const [caller, resolve] of this.#resolves.entries()) {
      resolve(errorOf === undefined ? rejection : ignorableRejection(errorOf(this.#places?.[caller] ?? caller)));
    }
  }

  /**
   * Moves the callers of some entries into another outcome. `places` maps the place of each entry to its new one, which
   * is negative (−1 for 0, −2 for 1, …) for an entry that moves. Needs a promise per entry.
   */
  split(places: (place: number) => number): { taken: Outcome; left: Outcome } {
    const [taken, left] = [new Outcome(true), new Outcome(true)];
    taken.handled = left.handled = this.handled;
    taken.#places = [];
    left.#places = [];
    for (const [caller, promise] of this.#promises.entries()) {
      const place = places(this.#places?.[caller] ?? caller);
      const outcome = place < 0 ? taken : left;
      outcome.#places?.push(place < 0 ? -1 - place : place);
      outcome.#promises.push(promise);
      outcome.#resolves.push(this.#resolves[caller] as Settle); // each caller has one
    }
    return { taken, left };
  }

  #placed(place: number): void {
    this.#places ??= this.#promises.map((_, i) => i);
    this.#places.push(place);
  }
}
