import {
  type BatchPleaseHooks,
  type BatchPleaseOptions,
  type ChangeableOptions,
  MissingHookError,
  OptionsError,
} from '../../src/index.js';
import { MemoryOfKey } from './memory-of-key.js';
import type { KeyedBatcherOptions, KeyedChanges, KeyedConfig, KeyedHooks } from './types.js';

const HOOKS = [
  'key',
  'batchInit',
  'batchAddItem',
  'batchAddItems',
  'batchId',
  'batchPreFlush',
  'batchFlush',
  'batchPostFlush',
  'batchSplit',
  'batchDeadLetter',
  'batchTerminate',
  'shouldFlush',
] as const;

const OWN = ['key', 'maxKeys', 'idleTimeout', 'keyConcurrency', 'batcher'] as const;

type Hooks<Item, Key, Batch> = KeyedHooks<Item, Key, Batch> & Partial<BatchPleaseHooks<Item, Batch>>;

/** A checked copy of the options; throws `OptionsError` at the first wrong or unknown one. */
export function readOptions<Item, Key, Batch>(
  owner: string,
  given: KeyedBatcherOptions<Item, Key, Batch>,
): { own: Pick<typeof given, (typeof OWN)[number]>; common: BatchPleaseOptions<Item, Batch>; config: KeyedConfig } {
  const common = copyOf(owner, given);
  const own = Object.fromEntries(OWN.map((name) => [name, common[name]])) as Pick<typeof given, (typeof OWN)[number]>;
  for (const name of OWN) Reflect.deleteProperty(common, name);
  const config = configOf(owner, common, own);
  for (const name of ['key', 'batcher'] as const) {
    if (own[name] != null && typeof own[name] !== 'function') throw wrong(owner, name, 'a function', own[name]);
  }
  return { own, common: common, config };
}

/** Each is read once, through the prototype as well: a getter may answer otherwise the next time. */
function copyOf(owner: string, given: object): Record<string, unknown> {
  if (typeof given !== 'object' || (given as unknown) === null || Array.isArray(given)) {
    throw wrong(owner, 'options', 'an object', given);
  }
  const copy: Record<string, unknown> = {};
  for (const name in given) copy[name] = Reflect.get(given, name);
  // The methods and getters of a class are not enumerable.
  for (const name of [...HOOKS, ...OWN, 'weigh', 'clock', ...Object.keys(new MemoryOfKey().state.config)]) {
    if (!(name in copy) && name in given) copy[name] = Reflect.get(given, name);
  }
  return copy;
}

/** The options in force after a change of some of them; nothing has changed if it throws. */
export function changedConfig<Item, Batch>(
  owner: string,
  common: BatchPleaseOptions<Item, Batch>,
  old: KeyedConfig,
  changes: KeyedChanges,
): { config: KeyedConfig; changed: ChangeableOptions } {
  const copy = copyOf(owner, changes) as KeyedChanges;
  const { maxKeys, idleTimeout, keyConcurrency, ...changed } = copy;
  // Refuses what cannot be changed.
  const probe = new MemoryOfKey<Item>({ ...common, clock: undefined } as object);
  probe.configure(changed);
  const given = {
    maxKeys: 'maxKeys' in copy ? maxKeys : old.maxKeys,
    idleTimeout: 'idleTimeout' in copy ? idleTimeout : old.idleTimeout,
    keyConcurrency: 'keyConcurrency' in copy ? keyConcurrency : old.keyConcurrency,
  };
  return { config: configOf(owner, { ...common, ...changed }, given), changed };
}

function configOf(owner: string, common: object, own: KeyedChanges): KeyedConfig {
  const { config } = new MemoryOfKey(common).state;
  const { maxKeys, idleTimeout, keyConcurrency } = own;
  for (const [name, value] of Object.entries({ maxKeys, keyConcurrency })) {
    const whole = Number.isSafeInteger(value) || value === Infinity;
    if (value != null && !(whole && value >= 1)) throw wrong(owner, name, 'a positive whole number', value);
  }
  if (idleTimeout != null && !(typeof idleTimeout === 'number' && idleTimeout > 0)) {
    throw wrong(owner, 'idleTimeout', 'a positive number of milliseconds', idleTimeout);
  }
  return Object.freeze({
    ...config,
    maxKeys: maxKeys ?? Infinity,
    idleTimeout: idleTimeout ?? 60_000,
    keyConcurrency: keyConcurrency ?? 1,
  });
}

/** Options win over methods. Throws `MissingHookError`. */
export function resolveHooks<Item, Key, Batch>(
  batcher: object,
  common: BatchPleaseOptions<Item, Batch>,
  own: { key?: unknown; batcher?: unknown },
): Hooks<Item, Key, Batch> {
  const hooks: Record<string, unknown> = {};
  for (const name of HOOKS) {
    const option: unknown = name === 'key' ? own.key : common[name];
    const method: unknown = Reflect.get(batcher, name);
    if (option != null) hooks[name] = (option as (...args: unknown[]) => unknown).bind(batcher);
    else if (method != null) hooks[name] = (method as (...args: unknown[]) => unknown).bind(batcher);
  }
  for (const name of own.batcher == null ? ['key', 'batchFlush'] : ['key']) {
    if (hooks[name] === undefined) throw new MissingHookError(name, batcher.constructor.name);
  }
  return hooks;
}

/** Options of one key's collector: without the bounds over all keys. */
export function perKey<Item, Batch>(
  common: BatchPleaseOptions<Item, Batch>,
  { keyConcurrency }: KeyedConfig,
): BatchPleaseOptions<Item, Batch> {
  const { maxPending: _1, overflow: _2, highWaterMark: _3, ...options } = common;
  return { ...options, flushConcurrency: keyConcurrency };
}

/** A copy of the options of a call. */
export function checkCall<Options extends object>(owner: string, given: Options | undefined): Options | undefined {
  const options: unknown = given ?? undefined;
  if (options === undefined) return undefined;
  if (typeof options !== 'object') throw wrong(owner, 'options', 'an object', options);
  return { ...(options as Options) };
}

export function wrong(owner: string, option: string, expected: string, given: unknown): OptionsError {
  const shown = ['object', 'function'].includes(typeof given) ? typeof given : String(given);
  return new OptionsError(`${owner}: ${option}: expected ${expected}, given ${shown}`, option, expected, given);
}
