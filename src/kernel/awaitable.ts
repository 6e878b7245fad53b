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

/** Goes on with `next` at once if the value is there, else when its promise has settled. */
export function andThen<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isThenable(value) ? Promise.resolve(value).then(next) : next(value);
}

/** The one promise that every call without anything to wait for may share. */
export const RESOLVED: Promise<void> = Promise.resolve();

/**
 * A promise that may be ignored: whoever awaits it sees its failure, and nobody else gets an unhandled rejection,
 * since the failure is reported by event as well.
 */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T | PromiseLike<T>) => void; // assigned by the promise's executor, which runs at once
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(ignore);
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

/**
 * The promise, unless the caller's signal aborts first: then it rejects with the signal's reason, as the platform does.
 * The result may be ignored.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (signal == null) return promise;
  const raced = new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const done = (): void => {
      signal.removeEventListener('abort', onAbort);
    };
    promise.then(
      (value) => {
        done();
        resolve(value);
      },
      (error: unknown) => {
        done();
        reject(error);
      },
    );
  });
  raced.catch(() => undefined);
  return raced;
}
