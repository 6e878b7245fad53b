import { OptionsError, type Clock } from '../src/index.js';

/** The methods of a collector that a feed calls; every `BatchPlease` has them. */
export interface FeedTarget<Added> {
  /** Resolves when the item has been delivered, rejects if it never will be. */
  deliverItem(item: Added): Promise<void>;
  /** Delivers what is pending, held batches included. */
  flush(options?: { timeout?: number }): Promise<void>;
  /** Takes back what is not in flight. */
  clear(): unknown;
  /** Adds a listener; returns a function that removes it. */
  on(event: 'held' | 'dropped', listener: (event: { size: number }) => void): () => void;
}

/** Options of a `Feed`. */
export interface FeedOptions<Item, Added> {
  /**
   * Returns the collector's item for one of the log. `id` is stable over redeliveries.
   *
   * @default the item itself
   */
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
  /**
   * Milliseconds until a message that failed for the n-th time is delivered again.
   *
   * @default 200 · 2^(n−1), at most 30,000
   */
  backoff?: ((attempt: number) => number) | undefined;
  /**
   * The collector for single items that have failed before, so that they fail alone. The first collector then has
   * `giveUp: 'split'`.
   *
   * @default the same collector, between two flushes
   */
  alone?: FeedTarget<Added> | undefined;
  /**
   * The source of time and timers.
   *
   * @default the system's clock
   */
  clock?: Clock | undefined;
}

/** Counts of a feed since its start. */
export interface FeedCounts {
  /** Messages received. */
  readonly deliveries: number;
  /** Items in these messages. */
  readonly items: number;
  /** Messages acknowledged. */
  readonly acked: number;
  /** Acknowledgements that the log did not confirm; such a message may be delivered again. */
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

const OPTIONS = ['map', 'maxDeliveries', 'maxItems', 'backoff', 'alone', 'clock'];
const CLOCK = ['now', 'setTimer', 'clearTimer'];

/** @throws OptionsError at the first wrong or unknown option */
export function checkFeedOptions(options: object): void {
  const given = options as Record<string, unknown>;
  for (const name of Object.keys(given)) if (!OPTIONS.includes(name)) throw wrong(name, 'no such option', given[name]);
  for (const name of ['map', 'backoff']) {
    if (given[name] !== undefined && typeof given[name] !== 'function') throw wrong(name, 'a function', given[name]);
  }
  const { clock } = given as { clock: Record<string, unknown> | null | undefined };
  if (clock !== undefined && !CLOCK.every((name) => typeof clock?.[name] === 'function')) {
    throw wrong('clock', 'a clock with now, setTimer and clearTimer', clock);
  }
}

/** @throws OptionsError */
export function countOr(option: string, given: unknown, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (typeof given === 'number' && given >= 1) return given;
  throw wrong(option, 'a number from 1', given);
}

export function wrong(option: string, expected: string, given: unknown, owner = 'Feed'): OptionsError {
  const shown = typeof given === 'object' && given !== null ? 'an object' : `${String(given)} (${typeof given})`;
  return new OptionsError(`${owner}: ${option}: expected ${expected}, given ${shown}`, option, expected, given);
}
