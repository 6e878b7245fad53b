// Calls the loader's batch function, and settles the loads of the batch with what it returns.
import type { BatchLoadFn } from 'dataloader';
import { ACCEPTS, isList, must } from './arguments.js';

/** The loads of one batch: how many keys are among them, and those that the cache answers when the batch settles. */
export type Frame = { size: number; due: boolean; hits: (() => void)[]; begin?: () => void };
export type Load<Key, Value> = { key: Key; frame: Frame; resolve(value: Value): void; reject(error: unknown): void };

/** Settles the loads in the microtask in which dataloader does: their order decides that of the loads to come. */
export async function settleLoads<Key, Value>(
  loader: { clear(key: Key): unknown },
  loadBatch: BatchLoadFn<Key, Value>,
  loads: readonly Load<Key, Value>[],
): Promise<typeof loads> {
  const keys = loads.map(({ key }) => key);
  const settle = (each: (load: Load<Key, Value>, index: number) => void): void => {
    for (const hit of loads[0]?.frame.hits ?? []) hit();
    loads.forEach(each);
  };
  const succeed = (values: ArrayLike<Value | Error>): void => {
    checkValues(keys, values);
    settle(({ resolve, reject }, i) => {
      const value = values[i];
      if (value instanceof Error) reject(value);
      else resolve(value as Value);
    });
  };
  const fail = (error: unknown): void => {
    settle(({ key, reject }) => {
      reject(error);
      loader.clear(key); // only the errors of single keys are cached
    });
  };
  try {
    const promise = promiseOf(() => loadBatch.call(loader, keys));
    await promise.then(succeed).catch(fail);
  } catch (error) {
    fail(error); // there is no promise
  }
  return loads;
}

function promiseOf<T>(call: () => PromiseLike<T>): Promise<T> {
  let promise: unknown;
  try {
    promise = call();
  } catch (error) {
    throw new TypeError(`${ACCEPTS} the function errored synchronously: ${String(error)}.`);
  }
  const isPromise = typeof (promise as PromiseLike<T> | null | undefined)?.then === 'function';
  must(isPromise, `${ACCEPTS} the function did not return a Promise: ${String(promise)}.`);
  return Promise.resolve(promise as PromiseLike<T>);
}

function checkValues(keys: readonly unknown[], values: unknown): void {
  const message = `${ACCEPTS} the function did not return a Promise of an Array`;
  must(isList(values), `${message}: ${String(values)}.`);
  if ((values as ArrayLike<unknown>).length === keys.length) return; // the lists are written only if they differ
  const lists = `\n\nKeys:\n${String(keys)}\n\nValues:\n${String(values)}`;
  throw new TypeError(`${message} of the same length as the Array of keys.${lists}`);
}
