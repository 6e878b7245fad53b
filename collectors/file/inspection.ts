import { basename, join } from 'node:path';
import { nodeFileSystem } from './file-system.js';
import { DEAD, NEWLINE, QUARANTINE, byAge, isBareName, parseName } from './format.js';
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
 * Reads a file without changing anything; each good line is told to `visit`, newline included and checksum left out.
 * `undefined` if it is gone: its owner lives and has delivered it.
 */
export async function inspect(
  { path, name }: SpoolFile,
  visit?: (line: Buffer) => void | Promise<void>,
): Promise<Inspection | undefined> {
  // What is in quarantine has the name of its batch in front.
  const integrity = parseName(basename(name).replace(/\.batch\..*$/, '.batch'))?.integrity ?? 'none';
  try {
    const file = nodeFileSystem.open(path, 'read');
    try {
      const { bytes } = file.stat();
      const tally = await visitLines(file, bytes, integrity, undefined, (block, from, to, end) => {
        if (end < 0 || visit === undefined) return undefined;
        if (end === to - 1) return visit(block.bytes.subarray(from, to));
        const line = Buffer.from(block.bytes.subarray(from, end + 1));
        line[end - from] = NEWLINE;
        return visit(line);
      });
      return { ...tally, bytes, error: undefined };
    } finally {
      file.close();
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    const message = error instanceof Error ? error.message : 'of no known kind';
    return { good: 0, bad: 0, torn: 0, goodBytes: 0, end: 0, unended: false, bytes: 0, error: message };
  }
}

function isBatch(name: string): boolean {
  return parseName(name) !== undefined || isBareName(name);
}
