import type { AnyOptions } from './parts.js';
import { countResults, lengthOf } from './partitions.js';
import { type Awaitable, andThen } from '../core/promise.js';

/** Calls `mapInputs` and `mapResults`, and checks that they return lists. */
export class Maps {
  readonly #options: AnyOptions;

  constructor(options: AnyOptions) {
    this.#options = options;
  }

  inputs(values: readonly unknown[]): Awaitable<readonly unknown[]> {
    const { mapInputs } = this.#options;
    return mapInputs == null ? values : andThen(mapInputs(values as never[]), (list) => checkList(list, 'mapInputs'));
  }

  results(results: readonly unknown[]): Awaitable<readonly unknown[]> {
    const { mapResults } = this.#options;
    return mapResults == null
      ? results
      : andThen(mapResults(results as never[]), (list) => checkList(list, 'mapResults'));
  }

  /** Makes the result of a caller of many values from all results or outcomes; `undefined` without `mapResults`. */
  finish(settle: boolean): ((all: unknown[]) => Awaitable<unknown>) | undefined {
    if (this.#options.mapResults == null) return undefined;
    return settle
      ? (all) => this.#settled(all as PromiseSettledResult<unknown>[])
      : (all) => (all.length === 0 ? all : this.results(all));
  }

  /** The results among the outcomes are mapped as one list; each goes back to its place. */
  #settled(all: PromiseSettledResult<unknown>[]): Awaitable<unknown> {
    const good = all.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    if (good.length === 0) return all;
    return andThen(this.results(good), (mapped) => {
      const list = countResults(mapped, good.length, 'mapResults');
      let at = 0;
      return all.map((one) => (one.status === 'fulfilled' ? { status: one.status, value: list[at++] } : one));
    });
  }
}

function checkList(list: unknown, name: string): readonly unknown[] {
  if (lengthOf(list) === undefined)
    throw new TypeError(`${name} must return a list, and returned ${list === null ? 'null' : typeof list}`);
  return list as readonly unknown[];
}
