import type { Cluster } from 'node:cluster';
import { constants } from 'node:os';
import { closeAll, LONGEST_TIMER, type Registration } from './exit-closing.js';

export type { Closable } from './exit-closing.js';

/** Signals that end a process, on some platform; listed here, so that the types need none of Node's. */
export type ExitSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGBREAK' | 'SIGUSR1' | 'SIGUSR2';

/**
 * One for all copies of the package in a process (ESM and CommonJS, two versions, a hot reload): the first that comes
 * handles the signals for all. Two that each listen would take the other for a listener of the program, and leave the
 * ending of the process to each other. It is kept at `process`, which realms (`node:vm`) may share. A later version has
 * to accept the registrations of this one.
 */
interface Hub {
  readonly version: number;
  add(registration: Registration, signals: readonly ExitSignal[]): () => void;
}

const HUB = Symbol.for('batch-please.flushOnExit');

/** Milliseconds within which a signal is the same key press: wrappers such as npm and concurrently send it again. */
const KEY_PRESS = 1000;
/** The end of that time, in milliseconds, which has to pass while the process can look: see `#begin`. */
const LOOKING = 100;
/** Milliseconds after which a process that has raised its signal and still runs is ended in another way. */
const RAISED = 200;

let own: Hub | undefined;

export function sharedHub(): Hub {
  const found = Reflect.get(process, HUB) as Partial<Hub> | undefined;
  if (typeof found?.add === 'function' && typeof found.version === 'number') return found as Hub;
  own ??= new SignalHub();
  // A value that is no hub stays: this copy then acts alone. So it does where `process` is frozen.
  if (found === undefined) Reflect.defineProperty(process, HUB, { value: own, configurable: true });
  return own;
}

/** The listener for one signal. */
interface Watch {
  readonly registrations: Set<Registration>;
  readonly listener: () => void;
  /** A listener of the program was removed in the present turn: `once`, or by itself. It has been called, before ours. */
  left: boolean;
}

class SignalHub implements Hub {
  readonly version = 1;
  readonly #watches = new Map<string | symbol, Watch>();
  /** The key press that is being handled; from then on the process ends. `later`: the same signal is another one. */
  #press: { readonly watches: Set<Watch>; later: boolean; closing: boolean } | undefined;

  add(registration: Registration, signals: readonly ExitSignal[]): () => void {
    for (const signal of signals) {
      const watch = this.#watches.get(signal) ?? this.#watch(signal);
      watch.registrations.add(registration);
      // The program may have removed all listeners, ours with them. Ours is the first, so that a listener of the program
      // that is removed after one signal can still be counted.
      if (!process.listeners(signal).includes(watch.listener)) process.prependListener(signal, watch.listener);
    }
    return () => {
      for (const signal of signals) {
        const watch = this.#watches.get(signal);
        // While closing, the listener stays: the same key press again must not end what was begun.
        if (watch?.registrations.delete(registration) === true && this.#press?.closing !== true) this.#forgetUnused();
      }
    };
  }

  #watch(signal: ExitSignal): Watch {
    const listener = (): void => this.#onSignal(signal, watch); // without an argument: a signal emitted by hand has none
    const watch: Watch = { registrations: new Set(), listener, left: false };
    if (this.#watches.size === 0) process.on('removeListener', this.#onRemoved);
    this.#watches.set(signal, watch);
    return watch;
  }

  /** Counts those listeners too that came before ours all the same, and were removed. */
  readonly #onRemoved = (event: string | symbol): void => {
    const watch = this.#watches.get(event);
    if (watch === undefined || watch.left) return;
    watch.left = true;
    queueMicrotask(() => {
      watch.left = false;
    }); // none runs between two listeners
  };

  #onSignal(signal: ExitSignal, watch: Watch): void {
    const alone = process.listenerCount(signal) === 1 && !watch.left;
    if (this.#press === undefined) {
      this.#begin(signal, watch, alone);
      return;
    }
    this.#press.watches.add(watch); // what is closed on this signal only is closed as well
    const undone = watch.registrations.size === 0 && !alone;
    if (this.#press.later && !undone) this.#end(signal, alone);
  }

  #begin(signal: ExitSignal, watch: Watch, alone: boolean): void {
    const press = { watches: new Set([watch]), later: false, closing: true };
    this.#press = press;
    const isLater = (): void => {
      press.later = true;
    };
    // A signal that came while the event loop was blocked or the process frozen is no later one. A thread that is not
    // running yet may still have to hand it to the event loop.
    setTimeout(() => setTimeout(isLater, LOOKING).unref(), KEY_PRESS - LOOKING).unref();
    const timeout = Math.max(0, ...[...watch.registrations].map((registration) => registration.timeout));
    const release = outliveClusterPrimary();
    const registrations = (): Registration[] => [...press.watches].flatMap((each) => [...each.registrations]);
    void closeAll(registrations, timeout).then(() => {
      press.closing = false;
      // Not before the warnings are printed, which Node does when the present callbacks have run.
      if (alone) setImmediate(() => this.#end(signal, true));
      else {
        release();
        this.#leave(signal, timeout);
        this.#forgetUnused();
      }
    });
  }

  /** The program ends the process, by itself or by running out of work; for no longer than `timeout`. */
  #leave(signal: ExitSignal, timeout: number): void {
    setTimeout(
      () => {
        if (this.#watches.has(signal))
          exit(signal); // not if all of them were undone meanwhile
        else this.#press = undefined;
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

  #forgetUnused(): void {
    for (const [signal, watch] of this.#watches) if (watch.registrations.size === 0) this.#forget(signal);
  }

  #forget(signal: string | symbol): void {
    const watch = this.#watches.get(signal);
    if (watch === undefined) return;
    this.#watches.delete(signal);
    process.off(signal, watch.listener);
    if (this.#watches.size === 0) process.off('removeListener', this.#onRemoved);
  }
}

/**
 * A worker of `cluster` exits as soon as its primary has ended, whatever it is doing; and one Ctrl-C goes to both.
 *
 * @returns a function that lets it exit again
 */
function outliveClusterPrimary(): () => void {
  // Not imported: it would be loaded by every program. A worker has a channel, and has loaded it.
  const { getBuiltinModule } = process as { getBuiltinModule?: (this: void, name: string) => unknown }; // Node 20.16
  const worker = process.connected ? (getBuiltinModule?.('node:cluster') as Cluster | undefined)?.worker : undefined;
  if (worker === undefined) return () => undefined;
  const before = worker.exitedAfterDisconnect;
  worker.exitedAfterDisconnect = true;
  return () => {
    worker.exitedAfterDisconnect = before;
  };
}

function exit(signal: ExitSignal): never {
  const code = 128 + ((constants.signals[signal] as number | undefined) ?? 0); // one of another platform, emitted by hand
  try {
    process.exit(code);
  } catch {
    process.exit(code); // a listener of 'exit' threw: none is called a second time
  }
}
