import type { ServingInit } from './types.js';
import { type Awaitable, isThenable } from '../core/promise.js';

/** What a handler is given besides its values; the types are the shell's. */
export interface Context {
  readonly partition: number;
  readonly state: unknown;
  readonly size: number;
  readonly weight: number;
  readonly reason: string;
  readonly attempt: number;
  readonly runtimeOptions: unknown;
  readonly inline: boolean;
  readonly hooks: Readonly<Record<string, { each(payloads: readonly unknown[]): void; all(payload: unknown): void }>>;
  readonly signal: AbortSignal;
}

/** Where batches are executed: the handler, and the state of each partition. */
export interface Partitions {
  /** Made before its first batch, and again if that failed; `'inline'` is the caller's own. */
  stateOf(partition: number | 'inline'): Awaitable<unknown>;
  handle(values: readonly unknown[], context: Context): Awaitable<unknown>;
  close(): Awaitable<void>;
}

/** What a user gives: the handler, and `init`. */
export interface PartitionHooks {
  init?: ((context: ServingInit) => unknown) | undefined;
  handleBatch?: ((values: never, context: never) => unknown) | undefined;
}

/** Partitions in this thread. */
export class LocalPartitions implements Partitions {
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
    return this.#hooks.handleBatch?.(values as never, context as never); // the shell has seen that there is one
  }

  close(): void {
    // Nothing to release.
  }
}
