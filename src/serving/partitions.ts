import type { ServingHook, ServingInit } from './types.js';
import { ClosedError, ResultCountError, isError, messageOf } from '../errors.js';
import { type Awaitable, adopt, isThenable } from '../core/promise.js';

/** The context of a handler, without the types that callers see. */
export interface Context {
  readonly partition: number;
  readonly state: unknown;
  readonly size: number;
  readonly weight: number;
  readonly reason: string;
  readonly attempt: number;
  readonly deadline: number;
  readonly runtimeOptions: unknown;
  readonly inline: boolean;
  readonly hooks: Readonly<Record<string, ServingHook>>;
  readonly signal: AbortSignal;
}

/** Where batches are executed: the handler, and the state of each partition. */
export interface Partitions {
  /** Made before the partition's first batch, and again if that failed. `'inline'` is a state for work in the caller. */
  stateOf(partition: number | 'inline'): Awaitable<unknown>;
  handle(values: readonly unknown[], context: Context): Awaitable<unknown>;
  /** It enforces `handlerTimeout` itself. */
  readonly timesOut: boolean;
  /** Nothing is executed after it. */
  close(): Awaitable<void>;
}

/** The methods or options of the serving. */
export interface PartitionHooks {
  init?: ((context: ServingInit) => unknown) | undefined;
  handleBatch?: ((values: never, context: never) => unknown) | undefined;
}

/** Partitions in this thread. */
export class LocalPartitions implements Partitions {
  readonly timesOut = false;
  readonly #hooks: PartitionHooks;
  readonly #runtimeOptions: unknown;
  readonly #states = new Map<number | 'inline', { value: unknown }>();

  constructor(hooks: PartitionHooks, runtimeOptions: unknown) {
    this.#hooks = hooks;
    this.#runtimeOptions = runtimeOptions;
  }

  stateOf(partition: number | 'inline'): unknown {
    if (this.#hooks.init == null) return undefined;
    const known = this.#states.get(partition);
    if (known !== undefined) return known.value;
    const inline = partition === 'inline';
    const value = this.#hooks.init({ partition: inline ? 0 : partition, runtimeOptions: this.#runtimeOptions, inline });
    const state = { value };
    this.#states.set(partition, state);
    if (isThenable(value)) {
      value.then(
        (ready) => {
          state.value = ready;
        },
        () => this.#states.delete(partition),
      );
    }
    return value;
  }

  handle(values: readonly unknown[], context: Context): unknown {
    return this.#hooks.handleBatch?.(values as never, context as never); // ServingCore has checked that there is one
  }

  close(): void {
    // Nothing to release.
  }
}

/** Sends the event of a hook: `list` has one payload per value; without it every caller gets `payload`. */
export type Send = (hook: string, list: readonly unknown[] | undefined, payload: unknown) => void;

export const NO_HOOKS: Readonly<Record<string, ServingHook>> = /* @__PURE__ */ Object.freeze({});

/** The hooks of one run; they throw once it has ended. */
export function hooksOf(
  names: readonly string[],
  size: number,
  alive: () => boolean,
  send: Send,
): Readonly<Record<string, ServingHook>> {
  if (names.length === 0) return NO_HOOKS;
  const hooks: Record<string, ServingHook> = {};
  for (const name of names) {
    const check = (): void => {
      if (!alive()) throw new ClosedError(`the hook ${name} was used after its batch had ended`);
    };
    const each = (payloads: readonly unknown[]): void => {
      check();
      const length = lengthOf(payloads);
      if (length !== size) throw new ResultCountError(size, length ?? 0, `the hook ${name}`);
      send(name, payloads, undefined);
    };
    const all = (payload: unknown): void => {
      check();
      send(name, undefined, payload);
    };
    hooks[name] = { each, all };
  }
  return hooks;
}

/**
 * A copy of the results, if there is one for each value. Promises among them are awaited: one that rejects, or a slot that
 * cannot be read, is an error in that slot.
 */
export function checkResults(results: unknown, size: number, who = 'the handler'): Awaitable<readonly unknown[]> {
  const list = countResults(results, size, who);
  const copy = new Array<unknown>(size);
  let promises = false;
  let at = 0;
  for (let done = false; !done;) {
    try {
      for (; at < size; at++) {
        const result = list[at];
        copy[at] = result;
        if (typeof result === 'object' && result !== null && !promises) promises = isPromise(result);
      }
      done = true;
    } catch (error) {
      copy[at++] = error; // reading the slot throws
    }
  }
  return promises ? Promise.all(copy.map(settleOne)) : copy;
}

export function countResults(results: unknown, size: number, who: string): readonly unknown[] {
  const length = lengthOf(results);
  if (length === size) return results as readonly unknown[];
  if (length !== undefined) throw new ResultCountError(size, length, who);
  const what = results === null ? 'null' : typeof results;
  throw new ResultCountError(size, 0, `${who}, which answered with ${what} instead of a list,`);
}

/** An object whose `then` cannot be read is a result like any other. */
function isPromise(result: object): boolean {
  try {
    return typeof (result as { then?: unknown }).then === 'function';
  } catch {
    return false;
  }
}

function settleOne(result: unknown): unknown {
  if (typeof result !== 'object' || result === null || !isPromise(result)) return result;
  return adopt(result as PromiseLike<unknown>).then(undefined, (error: unknown) =>
    isError(error) ? error : new Error(messageOf(error), { cause: error }),
  );
}

export function lengthOf(list: unknown): number | undefined {
  return Array.isArray(list) ? list.length : undefined;
}
