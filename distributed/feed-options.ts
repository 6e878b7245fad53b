import { OptionsError, type Clock } from '../src/index.js';

/** What a feed needs of a collector; every `BatchPlease` has it. */
export interface FeedTarget<Added> {
  deliverItem(item: Added): Promise<void>;
  flush(options?: { timeout?: number }): Promise<void>;
  /** Takes back what is not in flight. */
  clear(): unknown;
  on(event: 'held' | 'dropped', listener: (event: { size: number }) => void): () => void;
}

export interface FeedOptions<Item, Added> {
  /** Makes of an item what the collector is given; the item itself by default. `id` is stable over redeliveries. */
  map?: ((item: Item, from: { id: string; attempt: number }) => Added) | undefined;
  /**
   * Deliveries after which an item that fails alone, while others are delivered, goes to the dead letters.
   *
   * @default 5
   */
  maxDeliveries?: number | undefined;
  /**
   * Items that are here and not settled; with so many the feed stops pulling.
   *
   * @default 3000
   */
  maxItems?: number | undefined;
  /** Milliseconds until a message that failed for the n-th time is delivered again. @default 200 · 2^(n−1), at most 30,000 */
  backoff?: ((attempt: number) => number) | undefined;
  /** Where single items go that have failed before, so that they fail alone. @default the same collector, between two flushes */
  alone?: FeedTarget<Added> | undefined;
  clock?: Clock | undefined;
}

export interface FeedCounts {
  /** Messages. */
  readonly deliveries: number;
  /** Items in them. */
  readonly items: number;
  /** Messages; `ackLost` are those whose removal the log did not confirm. */
  readonly acked: number;
  readonly ackLost: number;
  /** Messages given back. */
  readonly retried: number;
  /** Items appended again as a smaller message. */
  readonly requeued: number;
  /** Items moved to the dead letters. */
  readonly buried: number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer: (callback, delay) => setTimeout(callback, delay),
  clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** The caller's, or the default where that throws or returns no time: it is called in timers. */
export function backoffOf(own: ((attempt: number) => number) | undefined): (attempt: number) => number {
  const usual = (attempt: number): number => Math.min(30_000, 200 * 2 ** (attempt - 1));
  return (attempt) => {
    try {
      const delay = own?.(attempt) ?? NaN;
      return delay >= 0 ? delay : usual(attempt);
    } catch {
      return usual(attempt);
    }
  };
}

/** @throws OptionsError */
export function countOr(option: string, given: unknown, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (typeof given === 'number' && given >= 1) return given;
  const expected = 'a number from 1';
  throw new OptionsError(`Feed: ${option} must be ${expected}`, option, expected, given);
}
