import { Deferred } from './promise.js';

const ignore = (): void => undefined;

/**
 * The promises of callers that wait for the entries of one batch. A batch that cannot fail in part has one promise for
 * all of them. Else the promise of each is derived from one gate by one handler for all, which costs an entry no
 * closure: reactions of a promise run in the order in which they were attached, so the handler counts.
 */
export class Outcome {
  /** Callers that handle a failure by `onError`. */
  handled = 0;
  #shared: Deferred | undefined;
  #gate: Deferred | undefined;
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
    if (!this.perEntry) return (this.#shared ??= new Deferred()).promise;
    const promises = this.#promises;
    if (this.#places !== undefined || place !== promises.length) this.#placed(place);
    const promise = this.#opening.then(this.#answerNext);
    promises.push(promise);
    return promise;
  }

  resolve(): void {
    this.#shared?.resolve();
    this.#delivered = true;
    this.#gate?.resolve();
  }

  reject(error: unknown): void {
    this.#shared?.reject(error);
    this.#failure = { error };
    for (const promise of this.#promises) promise.catch(ignore);
    this.#gate?.resolve();
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
    this.#gate?.resolve();
    return { taken, left };
  }

  get #opening(): Promise<void> {
    return (this.#gate ??= new Deferred()).promise;
  }

  readonly #answerNext = (): void | Promise<void> => {
    const caller = this.#answered++;
    return this.#delivered ? undefined : this.#answer(caller);
  };

  #answer(caller: number): void | Promise<void> {
    const heir = this.#heirs?.[caller];
    if (heir !== undefined) return heir.outcome.#answer(heir.caller);
    if (this.#delivered) return;
    if (this.#failure === undefined) return this.#opening.then(() => this.#answer(caller));
    throw this.#failure.error;
  }

  #placed(place: number): void {
    this.#places ??= this.#promises.map((_, i) => i);
    this.#places.push(place);
  }
}
