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
