import { isError } from '../errors.js';
import { type Settle, capture, captured } from '../core/promise.js';

/**
 * The callers of a row that have one value and no options. The promise of each is derived from one gate by one handler for
 * all, which costs a caller no closure: reactions of a promise run in the order in which they were attached, so the handler
 * counts.
 */
export class Gate {
  readonly #gate = new Promise<unknown>(capture);
  readonly #open = captured.resolve;
  readonly #reject = captured.reject;
  callers = 0;
  #called = 0;
  #answered = 0;
  #results: unknown[] = [];
  #errors: Map<number, unknown> | undefined;
  readonly #next = (): unknown => {
    const at = this.#called++;
    if (this.#errors?.has(at) === true) throw this.#errors.get(at) as Error; // whatever the handler has thrown
    return this.#results[at];
  };

  wait(): Promise<unknown> {
    this.callers++;
    return this.#gate.then(this.#next);
  }

  /** Answers all callers in their order; returns how many got an error. */
  deliver(results: unknown[]): number {
    this.#results = results;
    for (let i = 0; i < results.length; i++) {
      const result = results[i];
      if (typeof result === 'object' && isError(result)) (this.#errors ??= new Map<number, unknown>()).set(i, result);
    }
    this.#open(undefined);
    return this.#errors?.size ?? 0;
  }

  /** Rejects all callers. */
  refuse(error: unknown): void {
    this.#reject(error);
  }

  /** The functions that answer one caller, where each is answered by itself. The promises settle with the last one. */
  functionsOf(caller: number): { resolve: Settle; reject: Settle } {
    return {
      resolve: (result) => {
        this.#results[caller] = result;
        this.#answer();
      },
      reject: (error) => {
        (this.#errors ??= new Map<number, unknown>()).set(caller, error);
        this.#answer();
      },
    };
  }

  #answer(): void {
    if (++this.#answered === this.callers) this.#open(undefined);
  }
}
