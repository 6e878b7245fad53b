import type { OpenFile } from './file-system.js';
import { type Integrity, LONGEST_LINE, NEWLINE, endOfText } from './format.js';

/** A piece of a file. Its bytes are overwritten by the next one. */
export interface Block {
  bytes: Buffer;
  /** Of its first byte, in the file. */
  position: number;
  /** Whole lines; what comes after the last newline; or a part of a line that is too long to be one of ours. */
  kind: 'lines' | 'tail' | 'overlong';
}

const BLOCK = 256 * 1024;

/** The file in pieces, up to `length`: memory is bounded by the longest line. */
export async function* blocksOf(file: OpenFile, length: number): AsyncGenerator<Block> {
  let buffer = Buffer.allocUnsafe(Math.min(BLOCK, Math.max(length, 1)));
  let filled = 0;
  let position = 0; // of the buffer's first byte
  let overlong = false;
  while (position + filled < length) {
    if (filled === buffer.length) {
      if (filled >= LONGEST_LINE) {
        yield { bytes: buffer, position, kind: 'overlong' };
        position += filled;
        filled = 0;
        overlong = true;
      } else {
        const larger = Buffer.allocUnsafe(Math.min(filled * 2, LONGEST_LINE));
        buffer.copy(larger);
        buffer = larger;
      }
    }
    const room = Math.min(buffer.length - filled, length - position - filled);
    const count = await file.read(buffer.subarray(filled, filled + room), position + filled);
    if (count <= 0) break; // it is shorter than it was
    filled += count;
    let from = 0;
    if (overlong) {
      const end = buffer.subarray(0, filled).indexOf(NEWLINE);
      if (end < 0) continue;
      yield { bytes: buffer.subarray(0, end + 1), position, kind: 'overlong' };
      from = end + 1;
      overlong = false;
    }
    const end = buffer.subarray(0, filled).lastIndexOf(NEWLINE) + 1;
    if (end > from) yield { bytes: buffer.subarray(from, end), position: position + from, kind: 'lines' };
    const used = Math.max(from, end);
    buffer.copyWithin(0, used, filled);
    filled -= used;
    position += used;
  }
  if (filled > 0) yield { bytes: buffer.subarray(0, filled), position, kind: overlong ? 'overlong' : 'tail' };
}

/** What a file consists of. */
export interface Tally {
  good: number;
  bad: number;
  torn: number;
  /** Of the good lines, newlines included. */
  goodBytes: number;
  /** Where the last whole line ends. */
  end: number;
}

/** Told of each line, newline included; `end` is where its text ends, -1 for a damaged one. Empty lines are left out. */
export type Visitor = (block: Block, from: number, to: number, end: number) => void | Promise<void>;

/** Whether a line is one of ours is decided by its checksum, and by `accepts`, which sees the text. */
export async function visitLines(
  file: OpenFile,
  length: number,
  integrity: Integrity,
  accepts: ((text: string) => boolean) | undefined,
  visit?: Visitor,
): Promise<Tally> {
  const tally: Tally = { good: 0, bad: 0, torn: 0, goodBytes: 0, end: 0 };
  let overlong = false;
  for await (const block of blocksOf(file, length)) {
    const { bytes, kind } = block;
    if (kind !== 'lines') {
      if (kind === 'tail') tally.torn++;
      else if (!overlong) tally.bad++;
      overlong = kind === 'overlong';
      if (overlong) tally.end = block.position + bytes.length;
      await visit?.(block, 0, bytes.length, -1);
      continue;
    }
    overlong = false;
    for (let from = 0; from < bytes.length;) {
      const to = bytes.indexOf(NEWLINE, from);
      if (to > from) {
        let end = endOfText(bytes, from, to, integrity);
        if (end >= 0 && accepts?.(bytes.toString('utf8', from, end)) === false) end = -1;
        if (end < 0) tally.bad++;
        else {
          tally.good++;
          tally.goodBytes += to + 1 - from;
        }
        const visited = visit?.(block, from, to + 1, end);
        if (visited !== undefined) await visited;
      }
      from = to + 1;
    }
    tally.end = block.position + bytes.length;
  }
  return tally;
}
