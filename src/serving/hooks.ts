import type { ServingHook } from './types.js';
import { ClosedError, ResultCountError } from '../errors.js';

/** Where hooks send: `list` is one payload per value, else every caller gets `payload`. */
export type Tell = (hook: string, list: readonly unknown[] | undefined, payload: unknown) => void;

/** The hooks of one batch; they throw once it has ended. */
export function hooksOf(
  names: readonly string[],
  size: number,
  alive: () => boolean,
  tell: Tell,
): Readonly<Record<string, ServingHook>> {
  const hooks: Record<string, ServingHook> = {};
  for (const name of names) {
    const check = (): void => {
      if (!alive()) throw new ClosedError(`the hook ${name} was used after its batch had ended`);
    };
    const each = (payloads: readonly unknown[]): void => {
      check();
      const length = lengthOf(payloads);
      if (length !== size) throw new ResultCountError(size, length ?? 0, `the hook ${name}`);
      tell(name, payloads, undefined);
    };
    const all = (payload: unknown): void => {
      check();
      tell(name, undefined, payload);
    };
    hooks[name] = { each, all };
  }
  return hooks;
}

/** The results of a handler, if there is one for each value. */
export function checkResults(results: unknown, size: number, who = 'the handler'): readonly unknown[] {
  const length = lengthOf(results);
  if (length === size) return results as readonly unknown[];
  if (length !== undefined) throw new ResultCountError(size, length, who);
  const what = results === null ? 'null' : typeof results;
  throw new ResultCountError(size, 0, `${who}, which answered with ${what} instead of a list,`);
}

export function lengthOf(list: unknown): number | undefined {
  return Array.isArray(list) ? list.length : undefined;
}
