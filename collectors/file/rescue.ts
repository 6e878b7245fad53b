import { type BatchName, QUARANTINE, fileName, temporaryName } from './format.js';
import type { OpenFile } from './file-system.js';
import type { Kept } from './kept.js';
import { visitLines } from './lines.js';
import { onDisk } from './measure.js';
import { type Spool, isSame } from './spool.js';
import { Writer, discard } from './writing.js';

/** A file that takes items, and whose name or content is damaged. */
export interface Damaged {
  readonly name: BatchName;
  readonly path: string;
  /** Acknowledged. */
  readonly bytes: number;
  readonly kept: Kept;
  /** It is not needed any more. */
  readonly dropped: boolean;
}

export interface Rescued {
  readonly file: OpenFile;
  readonly lines: number;
  readonly bytes: number;
}

const LINE_END = Buffer.from('\n');

/**
 * Copies the acknowledged part of a file that has lost its name, or a part of its content, and gives the copy its name: what
 * was synced is read back, the rest comes from memory. Damaged lines are left out. The name is not synced.
 */
export async function rescue<Item>(spool: Spool<Item>, live: Damaged, old: OpenFile): Promise<Rescued> {
  const { files, config } = spool;
  const temporary = temporaryName(live.path);
  discard(files, undefined, temporary);
  const file = files.create(temporary);
  try {
    const writer = new Writer(file);
    const lines = await copyLines(spool, live, old, writer);
    await writer.finish(config.durability !== 'none');
    await makeWay(spool, live, old);
    if (live.dropped) throw new Error('the batch was dropped meanwhile');
    files.rename(temporary, live.path);
    return { file, lines, bytes: writer.bytes };
  } catch (error) {
    discard(files, file, temporary);
    throw error;
  }
}

/** Answers how many lines the copy has. */
async function copyLines<Item>(
  { config }: Spool<Item>,
  { bytes, kept }: Damaged,
  old: OpenFile,
  writer: Writer,
): Promise<number> {
  // Without what is not synced in memory everything is read back.
  const from = config.durability === 'batch' ? kept.from : undefined;
  const readable = Math.min(from ?? bytes, bytes);
  let { good: lines } = await visitLines(
    old,
    readable,
    config.integrity,
    undefined,
    async (block, start, end, text) => {
      if (text < 0) return;
      await writer.add(block.bytes.subarray(start, end));
      if (block.kind === 'tail') await writer.add(LINE_END);
    },
  );
  if (from === undefined) return lines;
  for (const piece of kept) {
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) lines++;
    await writer.add(piece);
  }
  return lines;
}

/** Nothing is overwritten: another program's file that has our name goes to `quarantine/`. */
async function makeWay<Item>(spool: Spool<Item>, { name, path }: Damaged, old: OpenFile): Promise<void> {
  const found = spool.files.stat(path);
  if (found === undefined || isSame(found, old.stat())) return;
  await spool.moveTo(QUARANTINE, fileName(name), () => {
    spool.measure.addAside(onDisk(found));
  });
}
