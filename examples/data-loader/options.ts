// dataloader's options with their defaults, and its checks of arguments and results, with its messages.
import type { BatchLoadFn, CacheMap, Options } from 'dataloader';
import { afterPromiseJobs } from './schedule.js';

const ACCEPTS =
  'DataLoader must be constructed with a function which accepts Array<key> and returns Promise<Array<value>>';
const but = (got: string): string => `${ACCEPTS}, but the function ${got}`;

function must(holds: boolean, message: string, given: unknown): void {
  if (!holds) throw new TypeError(`${message}: ${String(given)}`);
}

const isList = (list: unknown): boolean =>
  typeof list === 'object' && typeof (list as ArrayLike<unknown> | null)?.length === 'number';

/** The options, or their defaults. */
export interface Given<Key, Value, CacheKey> {
  name: string | null;
  batchSize: number;
  cache: CacheMap<CacheKey, Promise<Value>> | null;
  cacheKeyFn: (key: Key) => CacheKey;
  batchScheduleFn: (dispatch: () => void) => void;
}

export function readOptions<Key, Value, CacheKey>(
  loadBatch: unknown,
  options: Options<Key, Value, CacheKey>,
): Given<Key, Value, CacheKey> {
  if (typeof loadBatch !== 'function') throw new TypeError(`${ACCEPTS}, but got: ${String(loadBatch)}.`);
  const { batch, maxBatchSize = Infinity, cache, cacheMap, name, batchScheduleFn = afterPromiseJobs } = options;
  const { cacheKeyFn = (key: Key) => key as unknown as CacheKey } = options;
  const isSize = typeof maxBatchSize === 'number' && maxBatchSize >= 1;
  must(batch === false || isSize, 'maxBatchSize must be a positive number', maxBatchSize);
  must(typeof batchScheduleFn === 'function', 'batchScheduleFn must be a function', batchScheduleFn);
  must(typeof cacheKeyFn === 'function', 'cacheKeyFn must be a function', cacheKeyFn);
  const map = cache === false ? null : cacheMap === undefined ? new Map<CacheKey, Promise<Value>>() : cacheMap;
  const methods = (['get', 'set', 'delete', 'clear'] as const).filter((method) => typeof map?.[method] !== 'function');
  must(map === null || methods.length === 0, 'Custom cacheMap missing methods', methods.join(', '));
  const batchSize = batch === false ? 1 : Math.ceil(maxBatchSize);
  return { name: name || null, batchSize, cache: map, cacheKeyFn, batchScheduleFn }; // an empty name is none
}

export function checkKey(key: unknown): void {
  const message = 'The loader.load() function must be called with a value, but got';
  must(key !== null && key !== undefined, message, `${String(key)}.`);
}

export function checkKeys<Key>(keys: ArrayLike<Key>): Key[] {
  const given: unknown = keys;
  must(isList(keys), 'The loader.loadMany() function must be called with Array<key> but got', `${String(given)}.`);
  return Array.from(keys);
}

/** Calls the loader's function with the loader as `this`, and checks what it returns. */
export async function callLoader<Key, Value>(
  loader: object,
  loadBatch: BatchLoadFn<Key, Value>,
  keys: readonly Key[],
): Promise<(Value | Error)[]> {
  let promise: unknown;
  try {
    promise = loadBatch.call(loader, keys);
  } catch (error) {
    throw new TypeError(but(`errored synchronously: ${String(error)}.`));
  }
  const isPromise = typeof (promise as PromiseLike<unknown> | null | undefined)?.then === 'function';
  must(isPromise, but('did not return a Promise'), `${String(promise)}.`);
  const values: unknown = await promise;
  must(isList(values), but('did not return a Promise of an Array'), `${String(values)}.`);
  const list = values as ArrayLike<Value | Error>;
  if (list.length === keys.length) return Array.from(list);
  const lists = `\n\nKeys:\n${String(keys)}\n\nValues:\n${String(values)}`;
  throw new TypeError(but(`did not return a Promise of an Array of the same length as the Array of keys.${lists}`));
}
