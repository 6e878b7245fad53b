import type { Mapping } from './mapping.js';
import { readerHasStopped } from './stream.js';

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

/** Reads a stream of work in the caller, chunk by chunk, and may leave before a chunk is executed. */
export class InlineReader {
  /** The read under way, or the last one. */
  run = new InlineRun(() => undefined);
  left = false;
  readonly #inline: Mapping;
  #chunk: { run: InlineRun; done: Promise<unknown> } | undefined;

  constructor(inline: Mapping) {
    this.#inline = inline;
  }

  execute<T>(work: (run: InlineRun) => Promise<T>): Promise<T> {
    const { run } = this;
    const done = work(run);
    this.#chunk = { run, done };
    const end = (): void => {
      this.#chunk = undefined;
    };
    done.then(end, end);
    return done;
  }

  /** `close` waits for the handler that is left behind. */
  leave(): void {
    this.left = true;
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk === undefined) return;
    this.#inline.start(chunk.run, 0, chunk.done);
    chunk.run.leave(readerHasStopped());
  }
}
