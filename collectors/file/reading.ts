import { basename } from 'node:path';
import { StorageError } from '../../src/index.js';
import type { OpenFile } from './file-system.js';
import { NEWLINE, endOfText, parseName } from './format.js';
import { blocksOf } from './lines.js';
import { type Spool, storageError } from './spool.js';

/** A batch whose items are wanted. */
export interface Readable {
  readonly id: string;
  readonly filename: string;
  readonly bytes: number;
  /** Positions of the lines that are in `quarantine/` already. */
  readonly badLines: Set<number>;
}

/** The items of a file, a piece of it at a time. What is no item goes to `quarantine/`, once, and blocks nothing. */
export async function* readItems<Item>(spool: Spool<Item>, batch: Readable): AsyncGenerator<Item, void, undefined> {
  const { decode } = spool.config;
  const name = basename(batch.filename);
  const integrity = parseName(name)?.integrity ?? 'none';
  const quarantine = spool.quarantine(name);
  const found: number[] = [];
  const condemn = async (bytes: Uint8Array, position: number): Promise<void> => {
    if (batch.badLines.has(position)) return;
    await quarantine.add(bytes);
    found.push(position);
  };
  const file = open(spool, batch);
  try {
    let end = 0;
    for await (const { bytes, position, kind } of blocksOf(file, batch.bytes)) {
      end = position + bytes.length;
      if (kind !== 'lines') {
        await condemn(bytes, position);
        continue;
      }
      for (let from = 0; from < bytes.length;) {
        const to = bytes.indexOf(NEWLINE, from);
        const textEnd = to > from ? endOfText(bytes, from, to, integrity) : -1;
        let item: Item | undefined;
        let good = false;
        try {
          if (textEnd >= 0) {
            item = decode(bytes.toString('utf8', from, textEnd));
            good = true;
          }
        } catch {
          // What decode says may quote the item, which belongs into no log.
        }
        if (good) yield item as Item;
        else if (to > from) await condemn(bytes.subarray(from, to + 1), position + from);
        from = to + 1;
      }
    }
    if (end < batch.bytes) throw new StorageError(`the file of batch ${batch.id} is shorter than it was`);
  } finally {
    file.close();
    try {
      await quarantine.finish(batch.id);
    } catch (error) {
      quarantine.abandon();
      // The lines are not safe: the batch must not count as delivered.
      throw storageError('damaged lines could not be moved to quarantine', error);
    }
    for (const position of found) batch.badLines.add(position);
  }
}

function open<Item>(spool: Spool<Item>, batch: Readable): OpenFile {
  try {
    return spool.files.open(batch.filename, 'read');
  } catch (error) {
    throw storageError(`the file of batch ${batch.id} cannot be read`, error);
  }
}
