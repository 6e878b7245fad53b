/** Resolves or rejects a promise. */
export type Settle = (valueOrError: unknown) => void;

/** The functions of the promise that was made last. A closure for each promise would be a fifth of what a call allocates. */
export const captured: { resolve: Settle; reject: Settle } = { resolve: () => undefined, reject: () => undefined };

/** The executor of a promise whose functions are then read from `captured`. */
export function capture(resolve: Settle, reject: Settle): void {
  captured.resolve = resolve;
  captured.reject = reject;
}

const ERROR_TAGS = ['[object Error]', '[object DOMException]'];

/** An error in a slot, also one of another realm (as under test frameworks). */
export function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    if (value instanceof Error) return true;
    return 'stack' in value && ERROR_TAGS.includes(Object.prototype.toString.call(value));
  } catch {
    return false; // a proxy whose traps throw
  }
}
