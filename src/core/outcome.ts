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
  #indexes: number[] = [];
  #promises: Promise<void>[] = [];
  #resolves: (() => void)[] = [];
  #rejects: ((error: unknown) => void)[] = [];

  constructor(readonly perEntry: boolean) {}

  /** `index` is the entry's place in the batch, from 0. */
  wait(index: number): Promise<void> {
    if (!this.perEntry) return (this.#shared ??= new Deferred()).promise;
    const promise = new Promise<void>(capture);
    this.#indexes.push(index);
    this.#promises.push(promise);
    this.#resolves.push(resolveOfLast);
    this.#rejects.push(rejectOfLast);
    return promise;
  }

  resolve(): void {
    this.#shared?.resolve();
    for (const resolve of this.#resolves) resolve();
    this.#clear();
  }

  reject(error: unknown): void {
    this.#shared?.reject(error);
    for (let i = 0; i < this.#rejects.length; i++) {
      this.#promises[i]?.catch(ignore);
      this.#rejects[i]?.(error);
    }
    this.#clear();
  }

  /** Moves the callers of these entries into an outcome of their own; `places` maps an old place to the new one. Needs
   *  a promise per entry. */
  take(places: ReadonlyMap<number, number>): Outcome {
    const taken = new Outcome(true);
    taken.heard = this.heard;
    const [indexes, promises, resolves, rejects] = [this.#indexes, this.#promises, this.#resolves, this.#rejects];
    this.#clear();
    indexes.forEach((index, i) => {
      const place = places.get(index);
      const target = place === undefined ? this : taken;
      target.#indexes.push(place ?? index);
      target.#promises.push(promises[i] as Promise<void>); // the lists are aligned
      target.#resolves.push(resolves[i] as () => void);
      target.#rejects.push(rejects[i] as (error: unknown) => void);
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
    this.#rejects = [];
  }
}
