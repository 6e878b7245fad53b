import { constants } from 'node:os';
import { OptionsError } from '../src/index.js';
import { type Closable, type ExitSignal, sharedHub } from './exit-signals.js';

export type { Closable, ExitSignal } from './exit-signals.js';

/** Options of `flushOnExit`. */
export interface FlushOnExitOptions {
  /**
   * Milliseconds that closing everything may take, all stages together. If the process still runs as long again after
   * that, it ends with code 128 + the signal's number.
   *
   * @default 10_000
   */
  timeout?: number | undefined;
  /**
   * The signals on which the batchers are closed.
   *
   * @default ['SIGTERM', 'SIGINT']
   */
  signals?: readonly ExitSignal[] | undefined;
}

/** The batchers to close. A list within the list is a stage; stages are closed one after the other. */
export type Closables = Closable | Iterable<Closable | Iterable<Closable>>;

/**
 * Closes batchers on a signal, then lets the process end by that signal, as it would have without this function. The
 * signal again within a second is the same key press; a later one ends the process at once. If the program has a listener
 * of its own for that signal, ending the process is left to it, within `timeout` after closing.
 *
 * @example
 * flushOnExit([rows, [logger]]); // the logger after the batcher that logs into it
 * @returns a function that undoes it
 * @throws OptionsError for a wrong or unknown option, and for a value without a `close` method
 */
export function flushOnExit(batchers: Closables, options: FlushOnExitOptions = {}): () => void {
  const stages = stagesOf(batchers);
  check(options);
  const signals = [...new Set(options.signals ?? (['SIGTERM', 'SIGINT'] as const))];
  return sharedHub().add({ stages, timeout: options.timeout ?? 10_000 }, signals);
}

/** Signals that one platform has and another lacks: a program may name them everywhere. */
const ELSEWHERE: ReadonlySet<string> = new Set<ExitSignal>(['SIGBREAK', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']);

/** Neighbours that are not in a list of their own form one stage. */
function stagesOf(batchers: unknown): Closable[][] {
  if (isClosable(batchers)) return [[batchers]];
  if (!isList(batchers)) throw wrong('batchers', 'one or more with a close method', batchers);
  const stages: Closable[][] = [];
  let open: Closable[] | undefined;
  for (const each of batchers) {
    if (isClosable(each)) {
      if (open === undefined) stages.push((open = []));
      open.push(each);
    } else if (isList(each)) {
      const stage: unknown[] = [...each];
      const bad = stage.findIndex((member) => !isClosable(member));
      if (bad >= 0) throw wrong('batchers', 'a stage of batchers, each with a close method', stage[bad]);
      stages.push(stage as Closable[]); // each has been looked at
      open = undefined;
    } else throw wrong('batchers', 'one or more with a close method', each);
  }
  return stages;
}

function isClosable(value: unknown): value is Closable {
  return typeof (value as Closable | null | undefined)?.close === 'function';
}

function isList(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function check(options: FlushOnExitOptions): void {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) throw wrong('options', 'an object', given);
  for (const name of Object.keys(options)) {
    if (name === 'timeout' || name === 'signals') continue;
    const value: unknown = Reflect.get(options, name);
    throw new OptionsError(`flushOnExit: there is no option ${name}`, name, 'no such option', value);
  }
  const { timeout } = options;
  const signals: unknown = options.signals ?? [];
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0)) {
    throw wrong('timeout', 'a number of milliseconds from 0 up', timeout);
  }
  const known = (signal: unknown): boolean =>
    typeof signal === 'string' &&
    (signal in constants.signals || ELSEWHERE.has(signal)) &&
    signal !== 'SIGKILL' &&
    signal !== 'SIGSTOP';
  if (!isList(signals) || ![...signals].every(known)) {
    throw wrong('signals', 'a list of names of signals that can be caught', signals);
  }
}

function wrong(option: string, expected: string, given: unknown): OptionsError {
  return new OptionsError(
    `flushOnExit: ${option}: expected ${expected}, given ${shown(given)}`,
    option,
    expected,
    given,
  );
}

/** Never throws, whatever was given: an object may refer to itself. */
function shown(value: unknown): string {
  try {
    const text: unknown = JSON.stringify(value); // undefined for functions and the like
    return String(text);
  } catch {
    return typeof value;
  }
}
