import type { FileStat, OpenFile } from './file-system.js';
import { batchId } from './format.js';
import type { LiveFile } from './live-file.js';
import { type Spool, isSame } from './spool.js';
import { asError, closeQuietly } from './writing.js';

/** How often a file is copied because it has lost its name again, while the copy was being synced. */
const TRIES = 3;

/** The descriptor that remains when a file takes no more items. */
export interface Sealed {
  /** To be compared when it is read; `undefined` if it is not known. */
  readonly stat: FileStat | undefined;
  /** The only way to a file that has lost its name and could not be copied. */
  readonly source: OpenFile | undefined;
  /** A sync has failed, and so has the repair. */
  readonly doubtful: boolean;
}

/** Closes the file, unless nothing else leads to it any more. */
function closeNamed<Item>(spool: Spool<Item>, path: string, file: OpenFile | undefined): Omit<Sealed, 'doubtful'> {
  let stat: FileStat | undefined;
  let named = false;
  try {
    stat = file?.stat();
    const found = spool.files.stat(path);
    named = found !== undefined && stat !== undefined && isSame(found, stat);
  } catch {
    named = true; // it is looked at again before it is read
    stat = undefined;
  }
  if (!named) return { stat, source: file };
  closeQuietly(file);
  return { stat, source: undefined };
}

/** Closes a file that takes no more items, on the disk as asked. Rejects if what it has lost is in memory only. */
export async function closeFile<Item>(spool: Spool<Item>, live: LiveFile<Item>): Promise<Sealed> {
  let doubtful = false;
  try {
    let failure = live.failure ?? live.seenDamage();
    if (failure === undefined && spool.config.durability !== 'none' && live.dirty) {
      await live.sync();
      failure = live.seenDamage(); // the name may be lost during the sync as well
    }
    if (failure !== undefined) throw failure;
  } catch (error) {
    try {
      await repair(live, asError(error));
    } catch (problem) {
      if (!live.readable) throw problem;
      doubtful = true;
      const { size, dropped } = live;
      const id = batchId(live.name);
      const consequence = `batch ${id} is delivered without being on the disk`;
      if (!dropped) spool.report('unsynced', { id, size, error: problem }, consequence);
    }
  }
  return { ...closeNamed(spool, live.path, live.detach()), doubtful };
}

async function repair<Item>(live: LiveFile<Item>, cause: Error): Promise<void> {
  let failure: Error | undefined = cause;
  for (let tries = TRIES; failure !== undefined && tries > 0; tries--) {
    try {
      await live.restore(failure);
      failure = live.seenDamage();
    } catch (error) {
      failure = live.seenDamage();
      if (failure === undefined || tries === 1) throw error;
    }
  }
}
