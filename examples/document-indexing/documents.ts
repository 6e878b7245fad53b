import { lstat, readdir, readFile } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';

/** Called with what cannot be read: the path and why. The walk goes on. */
export type Complaint = (path: string, error: unknown) => void;

/** One document is read whole, so this bounds the memory it takes. */
export const MAX_BYTES = 16 * 1024 * 1024;
/** What fits into a row of the index of places. */
const MAX_PATH_BYTES = 2_000;

/**
 * The Markdown files under a directory, in an order that is the same every time. Symbolic links are not followed:
 * what they lead to inside the directory is found by itself, and so there can be neither loops nor ways out.
 */
export async function* markdownFiles(directory: string, complain: Complaint): AsyncGenerator<string, void, undefined> {
  const waiting = [directory];
  for (let current = waiting.pop(); current !== undefined; current = waiting.pop()) {
    const here = current;
    const entries = await readdir(here, { withFileTypes: true }).catch((error: unknown) => {
      complain(here, error);
      return [];
    });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.isFile() && /\.(md|markdown)$/i.test(entry.name)) yield join(here, entry.name);
    }
    const directories = entries.filter((entry) => entry.isDirectory() && entry.name !== '.git');
    waiting.push(...directories.map((entry) => join(here, entry.name)).reverse());
  }
}

export async function countFiles(directory: string, limit: number, signal: AbortSignal): Promise<number> {
  let files = 0;
  for await (const _ of markdownFiles(directory, () => undefined)) {
    files += 1;
    if (files >= limit || signal.aborted) break;
  }
  return files;
}

export async function readDocument(file: string): Promise<string> {
  if (Buffer.byteLength(file) > MAX_PATH_BYTES) throw new Error(`its path is longer than ${MAX_PATH_BYTES} bytes`);
  const { size } = await lstat(file);
  if (size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES / 1024 / 1024} MiB`);
  const bytes = await readFile(file);
  if (bytes.subarray(0, 4).toString('latin1') === '%PDF') throw new Error('a PDF, which is not supported: text only');
  try {
    // Postgres stores every character in a text but this one.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replaceAll('\0', '\uFFFD');
  } catch {
    throw new Error('not UTF-8');
  }
}

/** Whether a path is that of the directory or below it; what is no absolute path is nowhere. */
export function isInside(directory: string, path: string): boolean {
  const route = relative(directory, path);
  return isAbsolute(path) && route.split(sep)[0] !== '..' && !isAbsolute(route);
}
