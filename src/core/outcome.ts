import { Deferred } from './promise.js';

const ignore = (): void => undefined;

/**
 * The promises of callers that wait for the entries of one batch. A batch that cannot fail in part has one promise for
 * all of them. Else the promise of each is derived from one gate, which resolves with the delivery of all: no function runs
 * for an entry then. Otherwise the gate rejects, and one handler for all finds the answer of each without a closure:
 * reactions of a promise run in the order in which they were attached, so the handler counts.
 */
export class Outcome {
  /** Callers that handle a failure by `onError`. */
  handled = 0;
  readonly #gate = new Deferred();
  /** The promise of each caller. */
  readonly #promises: Promise<void>[] = [];
  /** The places of the callers' entries, from 0; left out while they are all those from the first on. */
  #places: number[] | undefined;
  #answered = 0;
  #delivered = false;
  #failure: { error: unknown } | undefined;
  /** After a split: which of its outcomes answers each caller, and as which of its callers. */
  #heirs: { outcome: Outcome; caller: number }[] | undefined;

  constructor(readonly perEntry: boolean) {}

  /** `place`: where the entry is in its batch, from 0; larger at each call. */
  wait(place: number): Promise<void> {
    if (!this.perEntry) return this.#gate.promise;
    const promises = this.#promises;
    if (this.#places !== undefined || place !== promises.length) this.#placed(place);
    const promise = this.#gate.promise.then(undefined, this.#answerNext);
    promises.push(promise);
    return promise;
  }

  resolve(): void {
    this.#delivered = true;
    this.#gate.resolve();
  }

  reject(error: unknown): void {
    this.#failure = { error };
    for (const promise of this.#promises) promise.catch(ignore);
    this.#gate.reject(error);
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
    this.#heirs = this.#promises.map((promise, caller) => {
      const place = places(this.#places?.[caller] ?? caller);
      const outcome = place < 0 ? taken : left;
      outcome.#places?.push(place < 0 ? -1 - place : place);
      return { outcome, caller: outcome.#promises.push(promise) - 1 };
    });
    this.#gate.reject(undefined);
    return { taken, left };
  }

  readonly #answerNext = (): void | Promise<void> => this.#answer(this.#answered++);

  #answer(caller: number): void | Promise<void> {
    const heir = this.#heirs?.[caller];
    if (heir !== undefined) return heir.outcome.#answer(heir.caller);
    if (this.#delivered) return;
    if (this.#failure === undefined) return this.#gate.promise.then(undefined, () => this.#answer(caller));
    throw this.#failure.error;
  }

  #placed(place: number): void {
    this.#places ??= this.#promises.map((_, i) => i);
    this.#places.push(place);
  }
}
