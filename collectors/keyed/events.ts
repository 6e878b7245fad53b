import { wrong } from './options.js';

type Listener<Payload> = (payload: Payload) => unknown;

/** Events whose listeners may throw or reject; failures without a listener become warnings. */
export class KeyedEmitter<Payloads extends object> {
  readonly #listeners = new Map<keyof Payloads, Listener<never>[]>();
  readonly #warned = new Set<string>();

  constructor(readonly owner: string) {}

  /** Returns a function that removes the listener. @throws OptionsError if it is no function */
  on<Name extends keyof Payloads>(name: Name, listener: Listener<Payloads[Name]>): () => void {
    if (typeof listener !== 'function') throw wrong('on', String(name), 'a function', listener);
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
    let registered = true;
    return () => {
      if (registered) this.off(name, listener);
      registered = false;
    };
  }

  off<Name extends keyof Payloads>(name: Name, listener: Listener<Payloads[Name]>): void {
    const all = this.#listeners.get(name) ?? [];
    const index = all.indexOf(listener);
    if (index >= 0) this.#listeners.set(name, all.toSpliced(index, 1));
  }

  has(name: keyof Payloads): boolean {
    return (this.#listeners.get(name)?.length ?? 0) > 0;
  }

  emit<Name extends keyof Payloads>(name: Name, payload: Payloads[Name]): void {
    for (const listener of (this.#listeners.get(name) ?? []) as Listener<Payloads[Name]>[]) {
      this.call(`a listener of ${String(name)} threw`, () => listener(payload));
    }
  }

  /** Calls user code without waiting for its result. */
  call(message: string, fn: () => unknown): void {
    const report = (error: unknown): void => {
      this.warn(message, error);
    };
    try {
      const answer = fn();
      // `then` may be a getter that throws.
      if (typeof answer === 'object' && answer !== null) Promise.resolve(answer).then(undefined, report);
    } catch (error) {
      report(error);
    }
  }

  /** Once per kind. */
  warn(message: string, error: unknown): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    const text = `${this.owner}: ${message}: ${textOf(error)}`;
    try {
      const process = (globalThis as { process?: { emitWarning?: (text: string, type: string) => void } }).process;
      if (process?.emitWarning === undefined) console.warn(`BatchWarning: ${text}`);
      else process.emitWarning(text, 'BatchWarning');
    } catch {
      // A program has replaced emitWarning by a function that throws.
    }
  }
}

/** Never throws, whatever was thrown: an error's fields may be getters, and an object may have no way to be a string. */
export function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return typeof error;
  }
}
