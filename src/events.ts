import mitt from 'mitt';
import { isThenable } from './kernel/awaitable.js';
import { messageOf } from './errors.js';

/** What it returns is looked at only for a promise that rejects. */
export type Listener<Payload> = (payload: Payload) => unknown;

/**
 * Typed events, emitted at once. A listener that throws or rejects harms nobody: neither the batcher nor the listeners
 * after it, which mitt by itself would skip.
 */
export class Events<Payloads extends Record<string, unknown>> {
  readonly #emitter = mitt<Payloads>();

  /** Returns a function that removes the listener. */
  on<Name extends keyof Payloads>(name: Name, listener: Listener<Payloads[Name]>): () => void {
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
        const result = listener(payload);
        if (isThenable(result)) result.then(undefined, reportListener);
      } catch (error) {
        reportListener(error);
      }
    }
  }
}

function reportListener(error: unknown): void {
  warn('BATCH_LISTENER', 'a listener threw', error);
}

/** The part of Node's process that is used, so that a browser, which has none, needs no shim. */
interface ProcessLike {
  emitWarning?: (message: string, options: { type: string; code: string; detail?: string }) => void;
}

/** A failure that nobody else is told of, as a process warning (in a browser: on the console). */
export function warn(code: string, message: string, error?: unknown): void {
  const text = error === undefined ? message : `${message}: ${messageOf(error)}`;
  const process = (globalThis as { process?: ProcessLike }).process;
  if (process?.emitWarning === undefined) console.warn(`BatchWarning [${code}]: ${text}`);
  else {
    const detail = error instanceof Error ? error.stack : undefined;
    process.emitWarning(text, { type: 'BatchWarning', code, ...(detail !== undefined && { detail }) });
  }
}
