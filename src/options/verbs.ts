import * as z from 'zod/mini';
import { once, isNumber, delay, flag, oneOf, signal, check, isPlainObject, optionsError } from './check.js';

const verbs = /* @__PURE__ */ once(() => ({
  flush: z.strictObject({ signal, timeout: delay, hurry: flag }),
  close: z.strictObject({ timeout: delay, flush: flag }),
  call: z.strictObject({ signal, timeout: delay }),
  dispatch: z.strictObject({ signal, timeout: delay }),
  stop: z.strictObject({ timeout: delay, pending: oneOf('drain', 'reject') }),
  wait: z.strictObject({ delete: flag }),
  check: z.strictObject({ delete: flag }),
}));

/** Throws `OptionsError` if the options of a call are wrong or unknown. */
export function checkVerbOptions(verb: keyof ReturnType<typeof verbs>, options: unknown): void {
  if (options != null) check(verb, '', verbs()[verb], options);
}

/** A call's options are checked by hand first: a schema costs as much as the rest of the call. */
export function checkCallOptions(options: unknown): void {
  if (options === undefined) return;
  if (isPlainObject(options)) {
    const { timeout, signal } = options as { timeout?: unknown; signal?: unknown };
    const timed = timeout === undefined || (isNumber(timeout) && timeout >= 0);
    const sound = timed && (signal === undefined || signal instanceof AbortSignal);
    if (sound && Object.keys(options as object).every((key) => key === 'timeout' || key === 'signal')) return;
  }
  checkVerbOptions('call', options);
}

/** Throws `OptionsError` unless it is a number of milliseconds from 0 up, or a moment. */
export function checkWait(timeout: unknown): void {
  if (isNumber(timeout) && timeout >= 0) return;
  if (isPlainObject(timeout) && isNumber((timeout as { at?: unknown }).at)) return;
  throw optionsError('wait', 'timeout', 'a number of milliseconds from 0 up, or { at: clock time }', timeout);
}
