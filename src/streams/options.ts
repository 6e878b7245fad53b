import { OptionsError } from '../index.js';

/** Each may be left out or `null`. Without any limit all items of the source become one list. */
export interface BatchedOptions<Item> {
  /**
   * Items in a list, at most.
   * @default none
   */
  maxBatchSize?: number | null | undefined;
  /**
   * Sum of the weights in a list, at most; an item that is heavier by itself gets a list of its own. Needs `weigh`.
   * @default none
   */
  maxBatchWeight?: number | null | undefined;
  /** The weight of an item, for example its bytes. If it throws, the iteration ends with that error. */
  weigh?: ((item: Item) => number) | null | undefined;
  /**
   * Milliseconds after its first item at which a list is handed on, full or not.
   * @default none
   */
  maxTimeSinceFirstItem?: number | null | undefined;
  /** An abort ends the source and the iteration, which rejects with the reason; items not handed on yet are lost. */
  signal?: AbortSignal | null | undefined;
}

export interface Limits<Item> {
  readonly size: number;
  readonly weight: number;
  readonly weigh: ((item: Item) => number) | undefined;
  readonly age: number;
  readonly signal: AbortSignal | undefined;
}

const NAMES = ['maxBatchSize', 'maxBatchWeight', 'weigh', 'maxTimeSinceFirstItem', 'signal'];

/** Throws `OptionsError` at the first wrong or unknown option. */
export function readLimits<Item>(options: BatchedOptions<Item>): Limits<Item> {
  if (typeof options !== 'object' || (options as unknown) === null) throw wrong('options', 'an object', options);
  for (const [name, value] of Object.entries(options)) {
    if (!NAMES.includes(name)) throw wrong(name, 'no such option', value);
  }
  const { maxBatchSize, maxBatchWeight, weigh, maxTimeSinceFirstItem, signal } = options;
  if (
    maxBatchSize != null &&
    !(maxBatchSize === Infinity || (Number.isSafeInteger(maxBatchSize) && maxBatchSize > 0))
  ) {
    throw wrong('maxBatchSize', 'a positive whole number', maxBatchSize);
  }
  if (maxBatchWeight != null && !isPositive(maxBatchWeight)) {
    throw wrong('maxBatchWeight', 'a positive number', maxBatchWeight);
  }
  if (weigh != null && typeof weigh !== 'function') throw wrong('weigh', 'a function', weigh);
  if (maxBatchWeight != null && maxBatchWeight < Infinity && weigh == null) {
    throw wrong('weigh', 'a function, since maxBatchWeight is set', weigh);
  }
  if (maxTimeSinceFirstItem != null && !isPositive(maxTimeSinceFirstItem)) {
    throw wrong('maxTimeSinceFirstItem', 'a positive number of milliseconds', maxTimeSinceFirstItem);
  }
  if (signal != null && typeof signal.addEventListener !== 'function') throw wrong('signal', 'an AbortSignal', signal);
  return {
    size: maxBatchSize ?? Infinity,
    weight: maxBatchWeight ?? Infinity,
    weigh: weigh ?? undefined,
    age: maxTimeSinceFirstItem ?? Infinity,
    signal: signal ?? undefined,
  };
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}

export function wrong(option: string, expected: string, given: unknown, owner = 'batched'): OptionsError {
  const shown = typeof given === 'object' && given !== null ? 'an object' : `${String(given)} (${typeof given})`;
  return new OptionsError(`${owner}: ${option}: expected ${expected}, given ${shown}`, option, expected, given);
}
