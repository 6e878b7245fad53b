import { constants } from 'node:os';
import { OptionsError } from '../src/index.js';

/** Collectors, servings and batch servers alike. */
export interface Closable {
  close(options?: { timeout?: number }): Promise<unknown>;
}

/** Those that a process is ended by; named here, so that the types need none of Node's. */
export type ExitSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGBREAK' | 'SIGUSR1' | 'SIGUSR2';

export interface FlushOnExitOptions {
  /** Milliseconds that each may take to close; 10,000 by default. */
  timeout?: number | undefined;
  /** `['SIGTERM', 'SIGINT']` by default. */
  signals?: readonly ExitSignal[] | undefined;
}

interface Registration {
  batchers: readonly Closable[];
  timeout: number;
}

/** All calls share one listener for each signal: two would each take the other for one of the program's own. */
const registrations = new Map<ExitSignal, Set<Registration>>();
let closing = false;

/**
 * On a signal closes them all, then lets the process end by that signal, as it would have. A second signal ends it at
 * once. If the program has a listener of its own for that signal, ending the process is left to it.
 *
 * Returns a function that undoes it. Throws `OptionsError` for a wrong or unknown option, and for what cannot be closed.
 */
export function flushOnExit(batchers: Closable | Iterable<Closable>, options: FlushOnExitOptions = {}): () => void {
  const registration = { batchers: closables(batchers), timeout: options.timeout ?? 10_000 };
  const signals = [...new Set(options.signals ?? (['SIGTERM', 'SIGINT'] as const))];
  check(options, signals);
  for (const signal of signals) {
    const others = registrations.get(signal);
    if (others !== undefined) others.add(registration);
    else {
      registrations.set(signal, new Set([registration]));
      // First, so that a listener of the program that goes after one signal is still there to be counted.
      process.prependListener(signal, onSignal as NodeJS.SignalsListener); // it is called for these signals only
    }
  }
  return () => {
    for (const signal of signals) {
      const all = registrations.get(signal);
      if (all?.delete(registration) === true && all.size === 0) forget(signal);
    }
  };
}

function onSignal(signal: ExitSignal): void {
  const alone = process.listenerCount(signal) === 1;
  if (closing) {
    if (alone) endBy(signal);
    return;
  }
  closing = true;
  const all = [...(registrations.get(signal) ?? [])];
  const closed = all.flatMap(({ batchers, timeout }) => batchers.map((batcher) => closeOne(batcher, timeout)));
  void Promise.all(closed).then(() => {
    closing = false;
    // Not before the warnings are out: the process prints them when the present callbacks have run.
    if (alone) setImmediate(endBy, signal);
  });
}

async function closeOne(batcher: Closable, timeout: number): Promise<void> {
  try {
    await batcher.close({ timeout });
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : new Error(String(error)));
  }
}

function endBy(signal: ExitSignal): void {
  forget(signal);
  process.kill(process.pid, signal);
}

function forget(signal: ExitSignal): void {
  registrations.delete(signal);
  process.off(signal, onSignal);
}

function closables(batchers: Closable | Iterable<Closable>): readonly Closable[] {
  const given: unknown = batchers;
  const iterable = typeof given === 'object' && given !== null && Symbol.iterator in given;
  const all: readonly unknown[] = iterable ? [...(given as Iterable<unknown>)] : [given];
  const wrong = all.find((each) => typeof (each as Closable | null | undefined)?.close !== 'function');
  if (wrong !== undefined || all.includes(undefined)) fail('batchers', 'one or more with a close method', wrong);
  return all as readonly Closable[]; // each has been looked at
}

function check(options: FlushOnExitOptions, signals: readonly unknown[]): void {
  const { timeout } = options;
  for (const name of Object.keys(options)) {
    if (name === 'timeout' || name === 'signals') continue;
    throw new OptionsError(
      `flushOnExit: there is no option ${name}`,
      name,
      'no such option',
      Reflect.get(options, name),
    );
  }
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0)) {
    fail('timeout', 'a number of milliseconds from 0 up', timeout);
  }
  const known = (signal: unknown): boolean =>
    typeof signal === 'string' && signal in constants.signals && signal !== 'SIGKILL' && signal !== 'SIGSTOP';
  if (typeof options.signals === 'string' || !signals.every(known)) {
    fail('signals', 'a list of names of signals that can be caught', options.signals);
  }
}

function fail(option: string, expected: string, given: unknown): never {
  const shown = given === undefined ? 'undefined' : JSON.stringify(given);
  throw new OptionsError(`flushOnExit: ${option}: expected ${expected}, given ${shown}`, option, expected, given);
}
