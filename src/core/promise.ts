/** A value, or a promise of it. A hook may return either; one that returns no promise costs no microtask. */
export type Awaitable<T> = T | PromiseLike<T>;

/** Never throws: one whose `then` throws counts as a promise, which rejects with that once it is adopted. */
export function isThenable<T>(value: Awaitable<T>): value is PromiseLike<T> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  try {
    return typeof (value as { then?: unknown }).then === 'function';
  } catch {
    return true;
  }
}

/**
 * A promise of the value. Never throws, as `Promise.resolve` does for a promise whose `constructor` throws; nor does its
 * `then`, as that of a promise does which a program has replaced.
 */
export function adopt<T>(value: PromiseLike<T>): Promise<T> {
  try {
    const promise = Promise.resolve(value);
    if (promise.then === Promise.prototype.then) return promise;
    return new Promise((resolve) => {
      resolve(promise);
    });
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Goes on with `next` at once if the value is there, else when its promise has settled. */
export function andThen<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isThenable(value) ? adopt(value).then(next) : next(value);
}

/** The one promise that every call without anything to wait for may share. */
export const RESOLVED: Promise<void> = /* @__PURE__ */ Promise.resolve();

/** Resolves or rejects a promise. */
export type Settle = (valueOrError: unknown) => void;

/** The functions of the promise that was made last. A closure for each promise would be a fifth of what a call allocates. */
export const captured: { resolve: Settle; reject: Settle } = { resolve: () => undefined, reject: () => undefined };

/** The executor of a promise whose functions are then read from `captured`. */
export function capture(resolve: (value: never) => void, reject: Settle): void {
  captured.resolve = resolve as Settle; // it is given what its promise is of
  captured.reject = reject;
}

/**
 * A promise that may be ignored: a caller that awaits it sees its failure, and no unhandled rejection occurs,
 * since the failure is reported by event as well.
 */
export class Deferred<T = void> {
  readonly promise = new Promise<T>(capture);
  readonly #resolve: (value: T | PromiseLike<T>) => void = captured.resolve;
  readonly #reject = captured.reject;

  // Only what may fail is watched: that costs a promise more.

  resolve(value: T | PromiseLike<T>): void {
    if (isThenable(value)) this.promise.catch(ignore);
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.promise.catch(ignore);
    this.#reject(error);
  }
}

export function ignorableRejection(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}

function ignore(): void {
  // Reported by event already.
}

/** Handles a promise that a hook returned where none is allowed: its rejection has no other receiver. */
export function hush(value: unknown, report: (error: unknown) => void = ignore): void {
  if (isThenable(value)) adopt(value).then(undefined, report);
}

export interface Abortable {
  aborted(reason: unknown): void;
}

const aborts = new WeakMap<AbortSignal, ReturnType<typeof listenTo>>();

/**
 * Calls `who` when the signal aborts, in the order of the calls. However many wait on a signal, it has one listener: more
 * would be warned of as a leak, and each be found by search when it leaves.
 */
export function startListening(signal: AbortSignal, who: Abortable): void {
  (aborts.get(signal) ?? listenTo(signal)).waiting.add(who);
}

export function stopListening(signal: AbortSignal, who: Abortable): void {
  const listening = aborts.get(signal);
  if (listening?.waiting.delete(who) !== true || listening.waiting.size > 0) return;
  aborts.delete(signal);
  signal.removeEventListener('abort', listening.listener);
}

/** Calls `fn` when the signal aborts; returns a function that calls it off. */
export function onAbort(signal: AbortSignal, aborted: () => void): () => void {
  const who = { aborted };
  startListening(signal, who);
  return () => {
    stopListening(signal, who);
  };
}

function listenTo(signal: AbortSignal): { waiting: Set<Abortable>; listener: () => void } {
  const waiting = new Set<Abortable>();
  const listener = (): void => {
    for (const who of waiting) who.aborted(signal.reason);
    aborts.delete(signal); // not before: one that is called may stop another
  };
  aborts.set(signal, { waiting, listener });
  signal.addEventListener('abort', listener, { once: true });
  return { waiting, listener };
}
