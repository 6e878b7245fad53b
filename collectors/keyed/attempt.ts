import type { Awaitable } from '../../src/index.js';

/** Promise callbacks that a result passes through until the collector has seen it, and some more. */
const HOPS = 8;

/** An attempt that has, or waits for, a lane. */
export interface Attempt {
  /** Releases the lane; harmless when called again. */
  readonly over: () => void;
  /** The collector's turn that began it is under way: it sees the result before anything else. */
  inTurn: boolean;
}

/** Resolves when the collector has seen a result that has just settled. */
export async function hop(): Promise<void> {
  for (let i = 0; i < HOPS; i++) await Promise.resolve();
}

export function isThenable<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && 'then' in value;
}

export function then<T>(begins: Promise<void> | undefined, next: () => Awaitable<T>): Awaitable<T> {
  return begins === undefined ? next() : begins.then(next);
}
