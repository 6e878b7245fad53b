import { OptionsError } from '../errors.js';

/**
 * Built when it is first asked for. This and the marks for bundlers keep the schemas of a family that is not used out
 * of the bundle.
 */
export function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** What the value of an option has to be. */
export interface Rule {
  readonly expected: string;
  readonly test: (value: unknown) => boolean;
}

/** Options by name. Each may be left out. */
export type Schema = Readonly<Record<string, Rule>>;

export function expects(expected: string, test: (value: unknown) => boolean): Rule {
  return { expected, test };
}

export const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value);

export const count = /* @__PURE__ */ expects(
  'a positive whole number',
  (value) => isNumber(value) && value >= 1 && (Number.isSafeInteger(value) || value === Infinity),
);
export const lanes = count;
export const positive = /* @__PURE__ */ expects('a positive number', (value) => isNumber(value) && value > 0);
export const milliseconds = /* @__PURE__ */ expects(
  'a positive number of milliseconds',
  (value) => isNumber(value) && value > 0,
);
export const delay = /* @__PURE__ */ expects(
  'a number of milliseconds from 0 up',
  (value) => isNumber(value) && value >= 0,
);
export const fraction = /* @__PURE__ */ expects(
  'a number from 0 to 1',
  (value) => isNumber(value) && value >= 0 && value <= 1,
);
export const factor = /* @__PURE__ */ expects(
  'a number from 1 up',
  (value) => isNumber(value) && value >= 1 && value < Infinity,
);
export const flag = /* @__PURE__ */ expects('true or false', (value) => typeof value === 'boolean');
export const hook = /* @__PURE__ */ expects('a function', (value) => typeof value === 'function');

export function oneOf(...values: unknown[]): Rule {
  const expected = values.map((value) => `'${String(value)}'`).join(', ');
  return { expected: `one of ${expected}`, test: (value) => values.includes(value) };
}

const CLOCK_METHODS = ['now', 'setTimer', 'clearTimer'] as const;
export const clock = /* @__PURE__ */ expects('a clock with now, setTimer and clearTimer', (value) =>
  CLOCK_METHODS.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
);

export const signal = /* @__PURE__ */ expects(
  'an AbortSignal',
  (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
);

/** Throws `OptionsError` at the first value that is not as expected, or else at the first name that the schema lacks. */
export function check(owner: string, prefix: string, schema: Schema, given: unknown): void {
  if (!isPlainObject(given)) throw optionsError(owner, 'options', 'an object', given);
  const options = given as Record<string, unknown>;
  for (const [name, { expected, test }] of Object.entries(schema)) {
    const value = options[name];
    // Null and undefined both mean "left out".
    if (value != null && !test(value)) throw optionsError(owner, prefix + name, expected, value);
  }
  for (const name in options) {
    if (Object.hasOwn(schema, name)) continue;
    const option = prefix + name;
    const value = options[name];
    const message = `${owner}: there is no option ${option}, given ${show(value)}`;
    throw new OptionsError(message, option, 'no such option', value);
  }
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
export function readOptions(schema: Schema, given: unknown): unknown {
  if (!isPlainObject(given)) return given;
  const source = given as Record<string, unknown>;
  const copy: Record<string, unknown> = {};
  for (const name in source) copy[name] = source[name];
  for (const name of Object.keys(schema)) {
    const value = source[name];
    if (value !== undefined) copy[name] = value;
  }
  return copy;
}

export function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
