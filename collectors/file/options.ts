import { resolve } from 'node:path';
import { OptionsError, type BatchPleaseOptions, type Clock } from '../../src/index.js';
import type { FileBatch, FileBatcherOptions, SpoolOptions } from './contract.js';
import type { SpoolConfig } from './spool.js';

type Rule = readonly [expected: string, test: (value: unknown) => boolean];

const aFunction: Rule = ['a function', (value) => typeof value === 'function'];
const aCount: Rule = [
  'a positive whole number',
  (value) => value === Infinity || (Number.isSafeInteger(value) && Number(value) >= 1),
];
const oneOf = (...values: string[]): Rule => [
  `one of ${values.map((value) => `'${value}'`).join(', ')}`,
  (value) => values.includes(value as string),
];

const RULES: Readonly<Record<keyof SpoolOptions<unknown>, Rule>> = {
  batchDirectory: ['the path of a directory', (value) => typeof value === 'string' && isPath(value)],
  encode: aFunction,
  decode: aFunction,
  durability: oneOf('none', 'batch', 'item'),
  syncInterval: ['a positive number of milliseconds', (value) => typeof value === 'number' && value > 0],
  integrity: oneOf('line', 'suffix', 'none'),
  maxBytes: aCount,
  maxAttempts: aCount,
};

/** Its own work, which no option may switch off. */
const OWN_HOOKS = ['batchInit', 'batchAddItem', 'batchAddItems', 'batchId', 'batchSplit'];

/** Returns the options of the base class. Throws `OptionsError` at the first wrong option. */
export function baseOptions<Item>(
  owner: string,
  options: FileBatcherOptions<Item>,
): BatchPleaseOptions<Item, FileBatch<Item>> {
  // Plain JavaScript may pass anything, or nothing.
  const given: Record<string, unknown> = { ...(options as object | undefined) };
  for (const name of OWN_HOOKS) {
    if (given[name] != null) throw wrong(owner, name, 'nothing: files are what this collector is for', given[name]);
  }
  for (const [name, [expected, test]] of Object.entries(RULES)) {
    const value = given[name];
    if (value == null ? name === 'batchDirectory' : !test(value)) throw wrong(owner, name, expected, value);
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- of a copy that is made for this
    delete given[name];
  }
  return given;
}

/** `undefined` for what has no JSON. */
export function toJson(item: unknown): string | undefined {
  return JSON.stringify(item);
}

/** Takes options that `baseOptions` has checked. */
export function spoolConfig<Item>(options: FileBatcherOptions<Item>, clock: Clock): SpoolConfig<Item> {
  return {
    // Absolute, so that a change of the working directory moves nothing.
    directory: resolve(options.batchDirectory),
    encode: options.encode ?? toJson,
    decode: options.decode ?? ((text) => JSON.parse(text) as Item),
    durability: options.durability ?? 'batch',
    syncInterval: options.syncInterval ?? 1000,
    integrity: options.integrity ?? 'line',
    maxBytes: options.maxBytes ?? Infinity,
    maxAttempts: options.maxAttempts ?? Infinity,
    clock,
  };
}

/** With a zero in it, it would name another file than the one it seems to. */
function isPath(value: string): boolean {
  return value !== '' && !value.includes('\0');
}

function wrong(owner: string, option: string, expected: string, given: unknown): OptionsError {
  const shown = given == null ? String(given) : typeof given === 'number' ? String(given) : `a ${typeof given}`;
  return new OptionsError(`${owner}: ${option}: expected ${expected}, given ${shown}`, option, expected, given);
}
