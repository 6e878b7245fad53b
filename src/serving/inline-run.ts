/** Work in the caller, for which `close` waits. */
export class InlineRun {
  failure: { error: unknown } | undefined;
  /** Ends the attempt that is under way. */
  stop: ((error: unknown) => void) | undefined;
  /** Aborts the handler's signal, while an attempt is under way. */
  abort: ((reason: unknown) => void) | undefined;
  /** Ends the wait for a retry. */
  wake: (() => void) | undefined;
  readonly #reject: (error: unknown) => void;

  constructor(reject: (error: unknown) => void) {
    this.#reject = reject;
  }

  fail(error: unknown): void {
    this.failure = { error };
    this.#reject(error);
    this.stop?.(error);
    this.wake?.();
  }

  /** Its caller has left: the handler may finish, and nothing is tried again. */
  leave(reason: unknown): void {
    this.failure ??= { error: reason };
    this.abort?.(reason);
    this.wake?.();
  }

  /** Nothing is tried again. */
  closing(): void {
    this.wake?.();
  }
}
