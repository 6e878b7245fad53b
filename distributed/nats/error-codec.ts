/** An error as JSON. */
export interface FlatError {
  readonly name: string;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

const builtIn: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};
/** Causes of causes: an error may be its own cause. */
const deepest = 5;

/** Never throws, whatever was thrown. The stack stays here: it says nothing at the other end. */
export function flatten(error: unknown, depth = 0): FlatError {
  if (!(error instanceof Error)) return { name: 'Error', message: safely(() => String(error), typeof error) };
  const fields: Record<string, unknown> = {};
  for (const key of safely(() => Object.keys(error), [])) {
    if (['name', 'message', 'stack', 'cause', 'errors'].includes(key)) continue;
    // A field that JSON cannot express is left out, and so is a getter that throws.
    const value = safely<unknown>(() => plain((error as unknown as Record<string, unknown>)[key]), undefined);
    if (value !== undefined) fields[key] = value;
  }
  // A code may be on the prototype, as it is with classes that declare it by a getter.
  const code = safely<unknown>(() => (error as { code?: unknown }).code, undefined);
  if (typeof code === 'string' || typeof code === 'number') fields['code'] = code;
  const nested = (value: unknown): unknown => (value instanceof Error ? flatten(value, depth + 1) : plain(value));
  const cause = depth < deepest ? safely<unknown>(() => nested(error.cause), undefined) : undefined;
  const list = safely<unknown>(() => (error as { errors?: unknown }).errors, undefined);
  return {
    name: safely(() => textOr(error.name, 'Error'), 'Error'),
    message: safely(() => textOr(error.message, ''), ''),
    ...(Object.keys(fields).length > 0 && { fields }),
    ...(cause !== undefined && { cause }),
    ...(Array.isArray(list) && depth < deepest && { errors: list.map((one) => safely(() => nested(one), null)) }),
  };
}

/** An error with the name, message, code and fields of the one that was flattened, of its class if that is a built-in one. */
export function restore({ name, message, fields, cause, errors }: FlatError): Error {
  const error = new (builtIn[name] ?? Error)(message);
  // Not by assignment: a field named `__proto__` must stay a field.
  const set = (key: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
  };
  if (error.name !== name) set('name', name, false);
  for (const [key, value] of Object.entries(fields ?? {})) set(key, value, true);
  if (cause !== undefined) set('cause', unflat(cause), false);
  if (errors !== undefined) set('errors', errors.map(unflat), false);
  return error;
}

function unflat(value: unknown): unknown {
  const flat = value as Partial<FlatError> | null;
  const isError = typeof flat === 'object' && typeof flat?.name === 'string' && typeof flat.message === 'string';
  return isError ? restore(flat as FlatError) : value;
}

function plain(value: unknown): unknown {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? undefined : (JSON.parse(text) as unknown);
}

function safely<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** The fields of an error may be anything: they are assignable. */
function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
