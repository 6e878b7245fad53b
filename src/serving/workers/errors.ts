import { BatchError, isError, messageOf } from '../../errors.js';

/** An error, or another thrown value, as it crosses from or to a thread. */
export type Encoded =
  | { value: unknown; error?: undefined }
  | {
      error: true;
      name?: string;
      message?: string;
      stack?: string;
      fields: Record<string, Encoded>;
      cause?: Encoded;
      errors?: Encoded[];
    };

const CLASSES: Record<string, ErrorConstructor> = {
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
};

/** The error that a thread has sent; cycles among causes and fields stay cycles. */
export function decode(encoded: Encoded, seen = new Map<Encoded, unknown>()): unknown {
  if (encoded.error === undefined) return encoded.value;
  const known = seen.get(encoded);
  if (known !== undefined) return known;
  const { name = 'Error', message = '', stack, fields, cause, errors } = encoded;
  const error = errors === undefined ? new (CLASSES[name] ?? Error)(message) : new AggregateError([], message);
  seen.set(encoded, error);
  const define = (key: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
  };
  define('name', name, false);
  if (stack !== undefined) define('stack', stack, false);
  if (cause !== undefined) define('cause', decode(cause, seen), false);
  if (errors !== undefined) {
    const decoded = errors.map((one) => decode(one, seen));
    define('errors', decoded, false);
  }
  for (const [key, value] of Object.entries(fields)) define(key, decode(value, seen), true);
  return error;
}

/** The reason of an abort, for the thread. Never throws, whatever a caller has aborted with. */
export function encodeReason(reason: unknown): object {
  if (!isError(reason)) return { value: messageOf(reason) };
  const code = textOf(reason as object, 'code');
  const fields = code === undefined ? {} : { code };
  return { error: true, name: textOf(reason as object, 'name') ?? 'Error', message: messageOf(reason), fields };
}

function textOf(error: { name?: unknown; code?: unknown }, field: 'name' | 'code'): string | undefined {
  try {
    const value = error[field];
    return value === undefined ? undefined : messageOf(value);
  } catch {
    return undefined;
  }
}

export function isUncloneable(error: unknown): boolean {
  return (error as { name?: unknown } | null)?.name === 'DataCloneError';
}

/** Why the value cannot be sent to a thread, always an error: what a getter threw may be of any kind. */
export function cloneErrorOf(value: unknown): unknown {
  try {
    structuredClone(value);
    return undefined;
  } catch (error) {
    return isError(error) ? error : new BatchError(`a value cannot be cloned: ${messageOf(error)}`, error);
  }
}
