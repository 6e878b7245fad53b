import { relative } from 'node:path';

/**
 * Text from documents, file names and error messages as one line that a terminal only prints: an escape sequence in
 * a README must not move the cursor, and a bidirectional override must not reorder the line.
 */
export function printable(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\p{Bidi_Control}\p{Cs}]/gu, '')
    .replace(/ {2,}/g, ' ')
    .trim();
}

export function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** ENOSPC, as WebAssembly counts errors. */
const WASI_NO_SPACE = 51;

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export function count(n: number): string {
  return whole.format(n);
}

export function counted(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** What went wrong, in one line. */
export function reasonOf(error: unknown): string {
  // A host name with several addresses fails with one error for each of them, and no message of its own.
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0]);
  if (error instanceof Error) return printable(error.message || error.name);
  if (typeof error !== 'object' || error === null) return printable(String(error));
  // The embedded database throws its file system's errors, which are of no class of Node's.
  const { name, message, errno } = error as { name?: unknown; message?: unknown; errno?: unknown };
  if (name === 'ErrnoError' && errno === WASI_NO_SPACE) return 'there is no space left on the disk';
  const text = [message, name].find((each) => typeof each === 'string' && each !== '');
  return typeof text === 'string' ? printable(text) : 'an error without a message';
}

/** As seen from the working directory, if that is shorter. */
export function shortPath(path: string): string {
  const route = relative('', path);
  return printable(route !== '' && route.length < path.length ? route : path);
}
