import type { FlushContext } from '../../src/index.js';
import type { KeyedContext } from './types.js';

/** The context of a collector's hook, with the key. The signal stays a getter: it is made at the first look. */
export class Context<Key> implements KeyedContext<Key> {
  readonly id: string;
  readonly reason: FlushContext['reason'];
  readonly attempt: number;
  readonly size: number;
  readonly weight: number;
  readonly #context: FlushContext;

  constructor(
    context: FlushContext,
    readonly key: Key,
  ) {
    ({ id: this.id, reason: this.reason, attempt: this.attempt, size: this.size, weight: this.weight } = context);
    this.#context = context;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }
}
