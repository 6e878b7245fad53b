import * as z from 'zod/mini';
import type { Clock } from '../core/clock.js';
import { OptionsError } from '../errors.js';

/**
 * Built when it is first asked for. This and the marks for bundlers keep the schemas of a family that is not used out
 * of the bundle.
 */
export function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Null and undefined both mean "left out". */
export function expects<T>(expected: string, test: (value: unknown) => boolean): z.ZodMiniType<T | null | undefined> {
  return z.optional(z.custom<T | null>((value) => value === null || test(value), expected));
}

export const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value);

export const count = /* @__PURE__ */ expects<number>(
  'a positive whole number',
  (value) => isNumber(value) && value >= 1 && (Number.isSafeInteger(value) || value === Infinity),
);
export const lanes = count;
export const positive = /* @__PURE__ */ expects<number>('a positive number', (value) => isNumber(value) && value > 0);
export const milliseconds = /* @__PURE__ */ expects<number>(
  'a positive number of milliseconds',
  (value) => isNumber(value) && value > 0,
);
export const delay = /* @__PURE__ */ expects<number>(
  'a number of milliseconds from 0 up',
  (value) => isNumber(value) && value >= 0,
);
export const fraction = /* @__PURE__ */ expects<number>(
  'a number from 0 to 1',
  (value) => isNumber(value) && value >= 0 && value <= 1,
);
export const factor = /* @__PURE__ */ expects<number>(
  'a number from 1 up',
  (value) => isNumber(value) && value >= 1 && value < Infinity,
);
export const flag = /* @__PURE__ */ expects<boolean>('true or false', (value) => typeof value === 'boolean');
export const hook = /* @__PURE__ */ expects<never>('a function', (value) => typeof value === 'function');

export function oneOf<T extends string>(...values: T[]): z.ZodMiniType<T | null | undefined> {
  const expected = values.map((value) => `'${value}'`).join(', ');
  return expects<T>(`one of ${expected}`, (value) => (values as unknown[]).includes(value));
}

const CLOCK_METHODS = ['now', 'setTimer', 'clearTimer'] as const;
export const clock = /* @__PURE__ */ expects<Clock>('a clock with now, setTimer and clearTimer', (value) =>
  CLOCK_METHODS.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
);

export const signal = /* @__PURE__ */ expects<AbortSignal>(
  'an AbortSignal',
  (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
);

export function check(owner: string, prefix: string, schema: z.ZodMiniType, given: unknown): void {
  const result = schema.safeParse(given);
  if (result.success) return;
  const issue = result.error.issues[0];
  if (issue?.code === 'unrecognized_keys') {
    const option = prefix + String(issue.keys[0]);
    const value = (given as Record<string, unknown>)[String(issue.keys[0])];
    const message = `${owner}: there is no option ${option}, given ${show(value)}`;
    throw new OptionsError(message, option, 'no such option', value);
  }
  const option = prefix + (issue?.path ?? []).join('.');
  const value = issue?.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)[key], given) ?? given;
  if (option === prefix) throw optionsError(owner, 'options', 'an object', given);
  throw optionsError(owner, option, issue?.message ?? 'another value', value);
}

export function optionsError(owner: string, option: string, expected: string, given: unknown): OptionsError {
  return new OptionsError(`${owner}: ${option}: expected ${expected}, given ${show(given)}`, option, expected, given);
}

function show(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === 'string')
    return `${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)} (string)`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return `${String(value)} (${typeof value})`;
  }
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/**
 * A plain copy of what is checked, so that the same values are checked and used: options may be inherited, or getters.
 */
export function readOptions(schema: z.ZodMiniObject, given: unknown): unknown {
  if (!isPlainObject(given)) return given;
  const source = given as Record<string, unknown>;
  const copy: Record<string, unknown> = {};
  for (const name in source) copy[name] = source[name];
  for (const name of Object.keys(schema.shape)) {
    const value = copy[name] ?? source[name];
    if (value !== undefined) copy[name] = value;
  }
  return copy;
}

export function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
