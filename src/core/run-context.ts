import type { Trigger } from './schedule.js';

interface Attempted {
  readonly reason: Trigger;
  readonly attempt: number;
  readonly weight: number;
  context: RunContext | undefined;
}

/**
 * One run, as a hook or handler sees it. The signal is a getter of the class and made at the first look: a getter in an
 * object literal gives each object a hidden class of its own, which outlives it.
 */
export class RunContext {
  /** The trigger that cut the batch, the same in every attempt. */
  readonly reason: Trigger;
  /** From 1. */
  readonly attempt: number;
  readonly weight: number;
  #controller: AbortController | undefined;
  #aborted: { reason: unknown } | undefined;

  constructor(
    batch: Attempted,
    readonly size: number,
  ) {
    this.reason = batch.reason;
    this.attempt = batch.attempt;
    this.weight = batch.weight;
    batch.context = this;
  }

  /** Aborts when the run expires, and when it is given up. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  /** @internal */
  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }
}
