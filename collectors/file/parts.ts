import { basename } from 'node:path';
import type { FileStat, OpenFile } from './file-system.js';
import { fileName, parseName, temporaryName } from './format.js';
import { visitLines } from './lines.js';
import type { Spool } from './spool.js';
import { Writer, closeQuietly, copyRange, discard } from './writing.js';

/** The bytes that were written. */
export interface Copy {
  readonly bytes: number;
  readonly stat: FileStat;
}

/**
 * Writes some of the items of a file into another one, or into its own place: it has all of them, and is on the disk, before
 * it has its name, which is not synced. `order` counts the lines from 0, but for the `known` bad ones; `isWanted` is asked
 * before it takes its name, and `placed` is called at once after that.
 */
export async function copyItems<Item>(
  spool: Spool<Item>,
  from: string,
  to: string,
  order: readonly number[],
  length: number,
  known: ReadonlySet<number>,
  isWanted: () => boolean,
  placed: (copy: Copy) => void,
): Promise<void> {
  const { files, config } = spool;
  const integrity = parseName(from)?.integrity ?? 'none';
  const temporary = spool.path(temporaryName(to));
  const source = files.open(spool.path(from), 'read');
  try {
    discard(files, undefined, temporary);
    const copy = files.create(temporary);
    let opened: OpenFile | undefined = copy;
    try {
      const writer = new Writer(copy);
      let item = 0;
      let own = 0;
      await visitLines(
        source,
        length,
        integrity,
        (text) => isItem(config.decode, text),
        async (block, start, end, text) => {
          // A line that was damaged since then still has its place.
          if (block.kind === 'hole' || (text < 0 && known.has(block.position + start))) return;
          if (order[own] !== item++) return;
          own++;
          if (text < 0) return;
          await writer.add(block.bytes.subarray(start, end));
          if (block.kind === 'tail') await writer.add(Buffer.from('\n'));
        },
      );
      await writer.finish(); // an earlier process may have had the items on the disk
      const stat = copy.stat();
      opened = undefined; // its number may be another file's at once
      copy.close();
      if (isWanted()) {
        files.rename(temporary, spool.path(to));
        placed({ bytes: writer.bytes, stat });
      } else discard(files, undefined, temporary);
    } catch (error) {
      discard(files, opened, temporary);
      throw error;
    }
  } finally {
    closeQuietly(source);
  }
}

/** `items()` gives only those that `decode` takes. */
function isItem(decode: (text: string) => unknown, text: string): boolean {
  try {
    decode(text);
    return true;
  } catch {
    return false;
  }
}

/** Puts a copy that is on the disk into the place of a file, if that is the same still. The name is not synced. */
export async function copyWhole<Item>(
  spool: Spool<Item>,
  name: string,
  length: number,
  stays: () => boolean,
): Promise<FileStat> {
  const { files } = spool;
  const own = basename(name); // a copy that is not finished is removed from the directory itself at the next start
  const parsed = parseName(own.replace(/\.batch\..*$/, '.batch')); // in quarantine/ more follows
  // No other call copies to this name, whatever is done to the file meanwhile.
  const unique = parsed === undefined ? own : fileName({ ...parsed, nonce: files.nonce() });
  const temporary = spool.path(temporaryName(unique));
  const source = files.open(spool.path(name), 'read');
  try {
    const copy = files.create(temporary);
    let opened: OpenFile | undefined = copy;
    try {
      await copyRange(source, copy, 0, length);
      await copy.sync();
      const stat = copy.stat();
      opened = undefined; // its number may be another file's at once
      copy.close();
      if (!stays()) throw new Error('the file was changed, moved or removed');
      files.rename(temporary, spool.path(name));
      return stat;
    } catch (error) {
      discard(files, opened, temporary);
      throw error;
    }
  } finally {
    closeQuietly(source);
  }
}
