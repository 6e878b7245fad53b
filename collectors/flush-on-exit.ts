import { OptionsError } from '../src/index.js';

/** Collectors, servings and batch servers alike. */
export interface Closable {
  close(options?: { timeout?: number }): Promise<unknown>;
}

export interface FlushOnExitOptions {
  /** Milliseconds that each may take to close; 10,000 by default. */
  timeout?: number;
  /** `['SIGTERM', 'SIGINT']` by default. */
  signals?: readonly NodeJS.Signals[];
}

/**
 * On a signal closes them all, then lets the process end by that signal, as it would have. A second signal ends it at
 * once. If the program has a listener of its own for that signal, ending the process is left to it.
 *
 * Returns a function that undoes it.
 */
export function flushOnExit(
  batchers: Closable | Iterable<Closable>,
  { timeout = 10_000, signals = ['SIGTERM', 'SIGINT'] }: FlushOnExitOptions = {},
): () => void {
  if (typeof timeout !== 'number' || !(timeout >= 0)) {
    const expected = 'a number of milliseconds from 0 up';
    throw new OptionsError(
      `flushOnExit: timeout: expected ${expected}, given ${String(timeout)}`,
      'timeout',
      expected,
      timeout,
    );
  }
  let closing = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    const alone = process.listenerCount(signal) === 1;
    if (closing) {
      if (alone) endBy(signal);
      return;
    }
    closing = true;
    const all = Symbol.iterator in batchers ? [...batchers] : [batchers];
    void Promise.allSettled(all.map((batcher) => closeOne(batcher, timeout))).then((results) => {
      for (const result of results) {
        if (result.status === 'rejected') process.emitWarning(warningOf(result.reason));
      }
      if (alone) endBy(signal);
    });
  };
  const endBy = (signal: NodeJS.Signals): void => {
    undo();
    process.kill(process.pid, signal);
  };
  const undo = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return undo;
}

async function closeOne(batcher: Closable, timeout: number): Promise<void> {
  await batcher.close({ timeout });
}

function warningOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
