// dataloader's options with their defaults, and its checks of arguments, with its messages.
import type { CacheMap, Options } from 'dataloader';

export const ACCEPTS =
  'DataLoader must be constructed with a function which accepts Array<key> and returns Promise<Array<value>>, but';

export function must(holds: boolean, message: string): void {
  if (!holds) throw new TypeError(message);
}

export function isList(list: unknown): boolean {
  if (typeof list !== 'object' || list === null) return false;
  const { length } = list as { length?: unknown };
  return typeof length === 'number' && (length === 0 || (length > 0 && Object.hasOwn(list, length - 1)));
}

/** The options, or their defaults. */
export type Given<Key, Value, CacheKey> = ReturnType<typeof readOptions<Key, Value, CacheKey>>;

/** The loader is `this` of the functions. */
export function readOptions<Key, Value, CacheKey>(
  loader: object,
  loadBatch: unknown,
  options: Options<Key, Value, CacheKey> | undefined,
) {
  must(typeof loadBatch === 'function', `${ACCEPTS} got: ${String(loadBatch)}.`);
  const { batch, maxBatchSize = Infinity, cache, cacheMap = new Map<CacheKey, Promise<Value>>(), name } = options ?? {};
  const { batchScheduleFn = afterPromiseJobs, cacheKeyFn = (key: Key) => key as unknown as CacheKey } = options ?? {};
  const isSize = typeof maxBatchSize === 'number' && maxBatchSize >= 1;
  must(batch === false || isSize, `maxBatchSize must be a positive number: ${String(maxBatchSize)}`);
  must(typeof batchScheduleFn === 'function', `batchScheduleFn must be a function: ${String(batchScheduleFn)}`);
  must(typeof cacheKeyFn === 'function', `cacheKeyFn must be a function: ${String(cacheKeyFn)}`);
  const map: CacheMap<CacheKey, Promise<Value>> | null = (cache !== false && cacheMap) || null;
  const missing = (['get', 'set', 'delete', 'clear'] as const).filter((name) => map && typeof map[name] !== 'function');
  must(missing.length === 0, `Custom cacheMap missing methods: ${missing.join(', ')}`);
  const batchSize = batch === false ? 1 : Math.ceil(maxBatchSize);
  const functions = { cacheKeyFn: cacheKeyFn.bind(loader), batchScheduleFn: batchScheduleFn.bind(loader) };
  return { name: name || null, batchSize, cache: map, ...functions }; // an empty name is none
}

export function checkKey(key: unknown): void {
  const given = key !== null && key !== undefined;
  must(given, `The loader.load() function must be called with a value, but got: ${String(key)}.`);
}

export function checkKeys<Key>(keys: ArrayLike<Key>): Key[] {
  const message = 'The loader.loadMany() function must be called with Array<key> but got';
  const given: unknown = keys;
  must(isList(given), `${message}: ${String(given)}.`);
  return Array.from(keys);
}

/** Calls `dispatch` after all promise callbacks that are due; in browsers in the next task. */
function afterPromiseJobs(dispatch: () => void): void {
  const { nextTick } = (globalThis as { process?: { nextTick?: (work: () => void) => void } }).process ?? {};
  void Promise.resolve().then(() => (nextTick ?? setTimeout)(dispatch));
}
