/** Resolves or rejects a promise. */
export type Settle = (valueOrError: unknown) => void;

/** The functions of the promise that was made last. A closure for each promise would be a fifth of what a call allocates. */
export const captured: { resolve: Settle; reject: Settle } = { resolve: () => undefined, reject: () => undefined };

/** The executor of a promise whose functions are then read from `captured`. */
export function capture(resolve: Settle, reject: Settle): void {
  captured.resolve = resolve;
  captured.reject = reject;
}

const ERROR_TAGS = ['[object Error]', '[object DOMException]'];

/** An error in a slot, also one of another realm (as under test frameworks). */
export function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    if (value instanceof Error) return true;
    return 'stack' in value && ERROR_TAGS.includes(Object.prototype.toString.call(value));
  } catch {
    return false; // a proxy whose traps throw
  }
}

/**
 * The callers of a row that have one value and no options. The promise of each is derived from one gate by one handler for
 * all, which costs a caller no closure: reactions of a promise run in the order in which they were attached, so the handler
 * counts.
 */
export class Gate {
  readonly #gate = new Promise<unknown>(capture);
  readonly #open = captured.resolve;
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

  /** The promise of one more caller. */
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
