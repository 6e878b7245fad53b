import { Deferred, ignorableRejection } from './promise.js';

let resolveOfLast!: (value?: PromiseLike<void>) => void; // assigned by `capture`, which the constructor calls at once
/** One function for all promises, so that a promise of an entry costs no closure of ours. */
const capture = (resolve: (value?: PromiseLike<void>) => void): void => {
  resolveOfLast = resolve;
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
  #indexes: number[] = [];
  #promises: Promise<void>[] = [];
  #resolves: ((value?: PromiseLike<void>) => void)[] = [];

  constructor(readonly perEntry: boolean) {}

  /** `index` is the entry's place in the batch, from 0. */
  wait(index: number): Promise<void> {
    if (!this.perEntry) return (this.#shared ??= new Deferred()).promise;
    const promise = new Promise<void>(capture);
    this.#indexes.push(index);
    this.#promises.push(promise);
    this.#resolves.push(resolveOfLast);
    return promise;
  }

  resolve(): void {
    this.#shared?.resolve();
    for (const resolve of this.#resolves) resolve();
    this.#clear();
  }

  reject(error: unknown): void {
    this.#shared?.reject(error);
    if (this.#resolves.length > 0) {
      const rejection = ignorableRejection(error);
      for (let i = 0; i < this.#resolves.length; i++) {
        this.#promises[i]?.catch(ignore);
        this.#resolves[i]?.(rejection);
      }
    }
    this.#clear();
  }

  /** Moves the callers of these entries into an outcome of their own; `places` maps an old place to the new one. Needs
   *  a promise per entry. */
  take(places: ReadonlyMap<number, number>): Outcome {
    const taken = new Outcome(true);
    taken.heard = this.heard;
    const [indexes, promises, resolves] = [this.#indexes, this.#promises, this.#resolves];
    this.#clear();
    indexes.forEach((index, i) => {
      const place = places.get(index);
      const target = place === undefined ? this : taken;
      target.#indexes.push(place ?? index);
      target.#promises.push(promises[i] as Promise<void>); // the lists are aligned
      target.#resolves.push(resolves[i] as () => void);
    });
    return taken;
  }

  /** The places of the entries that are left, after others were taken out. */
  renumber(place: (index: number) => number): void {
    this.#indexes = this.#indexes.map(place);
  }

  #clear(): void {
    this.#indexes = [];
    this.#promises = [];
    this.#resolves = [];
  }
}
