import { constants } from 'node:os';

/** A collector, a serving, a batch server, or another object with a `close` method. */
export interface Closable {
  /** Delivers what is pending; `timeout` is in milliseconds. */
  close(options?: { timeout?: number }): Promise<unknown>;
}

/** Signals that end a process; listed here, so that the types need none of Node's. */
export type ExitSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGBREAK' | 'SIGUSR1' | 'SIGUSR2';

export interface Registration {
  readonly stages: readonly (readonly Closable[])[];
  /** Milliseconds for all stages together. */
  readonly timeout: number;
}

/**
 * One for all copies of the package in a process (ESM and CommonJS, two versions, a hot reload): the first that comes
 * handles the signals for all. Two that each listen would take the other for a listener of the program, and leave the
 * ending of the process to each other. A later version has to accept the registrations of this one.
 */
interface Hub {
  readonly version: number;
  add(registration: Registration, signals: readonly ExitSignal[]): () => void;
}

const HUB = Symbol.for('batch-please.flushOnExit');

/** Milliseconds within which a signal is the same key press: wrappers such as npm and concurrently send it again. */
const KEY_PRESS = 1000;
/** Milliseconds after which a process that has raised its signal and still runs is ended in another way. */
const RAISED = 200;
/** Milliseconds by which a closable may miss its timeout, so that its own report of it arrives. */
const LATE = 20;
/** The part of the remaining time that a stage may use before the last: one that hangs leaves some to those after it. */
const SHARE = 0.75;
/** Beyond this setTimeout fires after one millisecond. */
const LONGEST_TIMER = 2 ** 31 - 1;

let own: Hub | undefined;

export function sharedHub(): Hub {
  const found = Reflect.get(globalThis, HUB) as Partial<Hub> | undefined;
  if (typeof found?.add === 'function' && typeof found.version === 'number') return found as Hub;
  own ??= new SignalHub();
  // A value that is no hub stays: this copy then acts alone. So it does where globalThis is frozen.
  if (found === undefined) Reflect.defineProperty(globalThis, HUB, { value: own, configurable: true });
  return own;
}

class SignalHub implements Hub {
  readonly version = 1;
  readonly #registrations = new Map<ExitSignal, Set<Registration>>();
  /** When the signal came that is being handled; from then on the process ends. */
  #pressedAt: number | undefined;

  add(registration: Registration, signals: readonly ExitSignal[]): () => void {
    for (const signal of signals) {
      const others = this.#registrations.get(signal);
      if (others !== undefined) others.add(registration);
      else {
        this.#registrations.set(signal, new Set([registration]));
        // First, so that a listener of the program that is removed after one signal can still be counted.
        process.prependListener(signal, this.#onSignal as NodeJS.SignalsListener); // called for these signals only
      }
    }
    return () => {
      for (const signal of signals) {
        const all = this.#registrations.get(signal);
        if (all?.delete(registration) === true && all.size === 0) this.#forget(signal);
      }
    };
  }

  readonly #onSignal = (signal: ExitSignal): void => {
    const alone = process.listenerCount(signal) === 1;
    const now = performance.now();
    if (this.#pressedAt !== undefined) {
      if (now - this.#pressedAt >= KEY_PRESS) this.#end(signal, alone);
      return;
    }
    this.#pressedAt = now;
    const all = [...(this.#registrations.get(signal) ?? [])];
    const timeout = Math.max(0, ...all.map((registration) => registration.timeout));
    void Promise.all(all.map(closeStages)).then(() => {
      // Not before the warnings are printed, which Node does when the present callbacks have run.
      if (alone) setImmediate(() => this.#end(signal, true));
      else this.#leave(signal, timeout);
    });
  };

  /** The program ends the process, by itself or by running out of work; for no longer than `timeout`. */
  #leave(signal: ExitSignal, timeout: number): void {
    setTimeout(
      () => {
        if (this.#registrations.has(signal))
          exit(signal); // not if all of them were undone meanwhile
        else this.#pressedAt = undefined;
      },
      Math.min(timeout, LONGEST_TIMER),
    ).unref();
  }

  #end(signal: ExitSignal, alone: boolean): void {
    // The kernel ignores a signal to process 1 without a handler; other listeners would get it twice.
    if (!alone || process.pid === 1) exit(signal);
    this.#forget(signal);
    setTimeout(exit, RAISED, signal);
    try {
      process.kill(process.pid, signal);
    } catch {
      exit(signal); // a signal that this platform cannot send
    }
  }

  #forget(signal: ExitSignal): void {
    this.#registrations.delete(signal);
    process.off(signal, this.#onSignal);
  }
}

function exit(signal: ExitSignal): never {
  const code = 128 + constants.signals[signal];
  try {
    process.exit(code);
  } catch {
    process.exit(code); // a listener of 'exit' threw: none is called a second time
  }
}

/** Resolves in time, whatever the closables do. */
async function closeStages({ stages, timeout }: Registration): Promise<void> {
  const deadline = performance.now() + timeout;
  for (const [index, stage] of stages.entries()) {
    const left = Math.max(0, deadline - performance.now());
    const share = index === stages.length - 1 ? 1 : SHARE;
    // The first sees the number that was asked for.
    await closeStage(stage, (index === 0 ? timeout : left) * share);
  }
}

function closeStage(stage: readonly Closable[], timeout: number): Promise<void> {
  return new Promise((resolve) => {
    let open = stage.length;
    const late = (): void => {
      warn(new Error(`flushOnExit: ${open} of ${stage.length} did not close within ${timeout} ms`));
      resolve();
    };
    const timer = setTimeout(late, Math.min(timeout + LATE, LONGEST_TIMER));
    const done = (): void => {
      if (--open > 0) return;
      clearTimeout(timer);
      resolve();
    };
    if (open === 0) done();
    for (const each of stage) void closeOne(each, timeout).then(done);
  });
}

async function closeOne(closable: Closable, timeout: number): Promise<void> {
  try {
    await closable.close({ timeout });
  } catch (error) {
    warn(error);
  }
}

/** Never throws: the process has to end. */
function warn(error: unknown): void {
  try {
    process.emitWarning(error instanceof Error ? error : new Error(String(error)));
  } catch {
    // A program has replaced emitWarning, or an object cannot be made a string.
  }
}
