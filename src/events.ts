import mitt, { type Emitter } from 'mitt';
import { hush } from './core/promise.js';
import { messageOf, OptionsError } from './errors.js';

/** Its return value is ignored, except that the rejection of a promise is reported. */
export type Listener<Payload> = (payload: Payload) => unknown;

/**
 * Typed events, emitted at once. A listener that throws or rejects harms neither the batcher nor the listeners
 * after it, which mitt by itself would skip.
 */
export class Events<Payloads extends Record<string, unknown>> {
  readonly #emitter = emitter<Payloads>();
  /** The events of which a listener has thrown: reported once for each. */
  readonly #reported = new Set<keyof Payloads>();

  /** Returns a function that removes the listener. @throws OptionsError if it is no function */
  on<Name extends keyof Payloads>(name: Name, listener: Listener<Payloads[Name]>): () => void {
    if (typeof listener !== 'function') {
      const message = `on: ${String(name)}: expected a function, given ${typeof listener}`;
      throw new OptionsError(message, String(name), 'a function', listener);
    }
    this.#emitter.on(name, listener);
    let registered = true;
    return () => {
      // Once: the same listener may be registered again.
      if (registered) this.#emitter.off(name, listener);
      registered = false;
    };
  }

  off<Name extends keyof Payloads>(name: Name, listener: Listener<Payloads[Name]>): void {
    this.#emitter.off(name, listener);
  }

  has(name: keyof Payloads): boolean {
    return (this.#emitter.all.get(name)?.length ?? 0) > 0;
  }

  emit<Name extends keyof Payloads>(name: Name, payload: Payloads[Name]): void {
    const listeners = this.#emitter.all.get(name) as Listener<Payloads[Name]>[] | undefined;
    if (listeners === undefined) return;
    // A copy: a listener may add or remove listeners.
    for (const listener of listeners.slice()) {
      try {
        hush(listener(payload), (error) => {
          this.#report(name, error);
        });
      } catch (error) {
        this.#report(name, error);
      }
    }
  }

  #report(name: keyof Payloads, error: unknown): void {
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    warn('BATCH_LISTENER', `a listener of ${String(name)} threw`, error);
  }
}

/** The part of Node's process that is used, so that a browser, which has none, needs no shim. */
interface ProcessLike {
  emitWarning?: (message: string, options: { type: string; code: string; detail?: string }) => void;
}

/**
 * A bundler that meets the CommonJS build takes mitt's module for it all the same, by the condition `module` of mitt's
 * package; its function is then one `default` deeper.
 */
function emitter<Payloads extends Record<string, unknown>>(): Emitter<Payloads> {
  const found = mitt as typeof mitt | { default: typeof mitt };
  return (typeof found === 'function' ? found : found.default)<Payloads>();
}

/** Reports a failure as a process warning (in a browser: on the console). Never throws, even if a program has replaced these functions. */
export function warn(code: string, message: string, error?: unknown): void {
  const text = error === undefined ? message : `${message}: ${messageOf(error)}`;
  try {
    const process = (globalThis as { process?: ProcessLike }).process;
    if (typeof process?.emitWarning !== 'function') console.warn(`BatchWarning [${code}]: ${text}`);
    else {
      const detail = stackOf(error);
      process.emitWarning(text, { type: 'BatchWarning', code, ...(detail !== undefined && { detail }) });
    }
  } catch {
    // There is nowhere left to report to.
  }
}

/** Never throws, like `messageOf`. */
function stackOf(error: unknown): string | undefined {
  try {
    return error instanceof Error ? String(error.stack) : undefined;
  } catch {
    return undefined;
  }
}
