import type { FileStat } from './file-system.js';
import { fileName, parseName, temporaryName } from './format.js';
import { visitLines } from './lines.js';
import type { Spool } from './spool.js';
import { Writer, copyRange, discard } from './writing.js';

/** The bytes that were written. */
export interface Copy {
  readonly bytes: number;
  readonly stat: FileStat;
}

/**
 * Writes some of the items of a file into another one, or into its own place: it has all of them, and is on the disk, before
 * it has its name. `order` counts the items that `items()` gives, from 0; `isNeeded` is asked before it takes its name.
 */
export async function copyItems<Item>(
  spool: Spool<Item>,
  from: string,
  to: string,
  order: readonly number[],
  length: number,
  isNeeded: () => boolean,
): Promise<Copy> {
  const { files, config } = spool;
  const durable = config.durability !== 'none';
  const integrity = parseName(from)?.integrity ?? 'none';
  const temporary = spool.path(temporaryName(to));
  const source = files.open(spool.path(from), 'read');
  try {
    discard(files, undefined, temporary);
    const copy = files.create(temporary);
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
          if (text < 0 || order[own] !== item++) return;
          own++;
          await writer.add(block.bytes.subarray(start, end));
          if (block.kind === 'tail') await writer.add(Buffer.from('\n'));
        },
      );
      await writer.finish(durable);
      if (!isNeeded()) throw new Error('the batch was dropped meanwhile');
      files.rename(temporary, spool.path(to));
      const stat = copy.stat();
      copy.close();
      if (durable) await spool.sync();
      return { bytes: writer.bytes, stat };
    } catch (error) {
      discard(files, copy, temporary);
      throw error;
    }
  } finally {
    source.close();
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
  const parsed = parseName(name);
  // No other call copies to this name, whatever is done to the file meanwhile.
  const unique = parsed === undefined ? name : fileName({ ...parsed, nonce: files.nonce() });
  const temporary = spool.path(temporaryName(unique));
  const source = files.open(spool.path(name), 'read');
  try {
    const copy = files.create(temporary);
    try {
      await copyRange(source, copy, 0, length);
      await copy.sync();
      if (!stays()) throw new Error('the file was changed, moved or removed');
      files.rename(temporary, spool.path(name));
      const stat = copy.stat();
      copy.close();
      return stat;
    } catch (error) {
      discard(files, copy, temporary);
      throw error;
    }
  } finally {
    source.close();
  }
}
