import { basename, join } from 'node:path';
import { nodeFileSystem } from './file-system.js';
import { DEAD, NEWLINE, QUARANTINE, byAge, isBareName, isForeignName, parseName } from './format.js';
import { type Tally, visitLines } from './lines.js';
import { isLocked } from './lock.js';
import { isMissing } from './writing.js';

/** A file of a spool, as it is found. */
export interface SpoolFile {
  path: string;
  /** In the directory: `dead/` included. */
  name: string;
}

export interface Inspection extends Tally {
  bytes: number;
  /** Why it cannot be read. */
  error: string | undefined;
}

/** Whether a live process owns the directory. */
export { isLocked };

/** Names that look like a batch of a newer version, or that no batch may have: they are left alone. */
export async function foreignNames(directory: string): Promise<string[]> {
  return (await nodeFileSystem.names(directory)).filter(isForeignName).sort();
}

/** An error that `visit` has thrown: it says nothing about the file. */
export class VisitError extends Error {
  constructor(override readonly cause: unknown) {
    super('the lines cannot be written');
  }
}

/** The batch files, in the order of their delivery; with `aside` those in `dead/` and `quarantine/` as well. */
export async function spoolFiles(directory: string, aside = false): Promise<SpoolFile[]> {
  const found = (await nodeFileSystem.names(directory)).filter(isBatch).sort(byAge);
  const names = aside ? [...(await namesIn(directory, DEAD)), ...(await namesIn(directory, QUARANTINE))] : [];
  return [...found, ...names].map((name) => ({ name, path: join(directory, name) }));
}

export async function namesIn(directory: string, folder: typeof DEAD | typeof QUARANTINE): Promise<string[]> {
  const names = await nodeFileSystem.names(join(directory, folder)).catch(() => []);
  const wanted = folder === DEAD ? names.filter(isBatch) : names.filter((name) => name.endsWith('.bad'));
  return wanted.sort(byAge).map((name) => join(folder, name));
}

/**
 * Reads a file without changing anything; `visit` is called with each good line, newline included and checksum left out.
 * Rejects with `VisitError` if that throws.
 * Resolves to `undefined` if the file does not exist: its owner lives and has delivered it.
 */
export async function inspect(
  { path, name }: SpoolFile,
  visit?: (line: Buffer) => void | Promise<void>,
): Promise<Inspection | undefined> {
  // A file in quarantine has the name of its batch in front.
  const parsed = parseName(basename(name).replace(/\.batch\..*$/, '.batch'));
  const integrity = parsed?.integrity ?? 'none';
  const print = async (line: Buffer): Promise<void> => {
    try {
      await visit?.(line);
    } catch (error) {
      throw new VisitError(error);
    }
  };
  try {
    const file = nodeFileSystem.open(path, 'read');
    try {
      const { bytes } = file.stat();
      const tally = await visitLines(
        file,
        bytes,
        integrity,
        undefined,
        (block, from, to, end) => {
          if (end < 0 || visit === undefined) return undefined;
          if (block.kind === 'lines' && end === to - 1) return print(block.bytes.subarray(from, to));
          const line = Buffer.concat([block.bytes.subarray(from, end), LINE_END]);
          return print(line);
        },
        integrity !== 'none' || parsed === undefined,
      );
      return { ...tally, bytes, error: undefined };
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof VisitError) throw error;
    if (isMissing(error)) return undefined;
    const message = error instanceof Error ? error.message : 'of no known kind';
    return { good: 0, bad: 0, torn: 0, end: 0, unended: false, bytes: 0, error: message };
  }
}

const LINE_END = Buffer.of(NEWLINE);

function isBatch(name: string): boolean {
  return parseName(name) !== undefined || isBareName(name);
}
