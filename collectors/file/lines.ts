import type { OpenFile } from './file-system.js';
import { type Integrity, LONGEST_LINE, NEWLINE, textIn } from './format.js';

/** A piece of a file. Its bytes are overwritten by the next one. */
export interface Block {
  bytes: Buffer;
  /** Position of its first byte in the file. */
  position: number;
  /**
   * Whole lines; the bytes after the last newline; a part of a line that is too long to be one of ours; or nothing, where
   * the file has a hole.
   */
  kind: 'lines' | 'tail' | 'overlong' | 'hole';
}

const BLOCK = 256 * 1024;
const PAGE = 4096;
/** Bytes; so many zeros in one go are no part of a line. */
const HOLE = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);
const NOTHING = Buffer.alloc(0);

/** The file in pieces, up to `length`: memory is bounded by the longest line. A large hole is left out. */
export async function* blocksOf(file: Pick<OpenFile, 'read' | 'stat'>, length: number): AsyncGenerator<Block> {
  let buffer = Buffer.allocUnsafe(Math.min(BLOCK, Math.max(length, 1)));
  let filled = 0;
  let position = 0; // of the buffer's first byte
  let overlong = false;
  const holes = length > BLOCK ? new Holes(file, length) : undefined;
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
    holes?.read(buffer.subarray(filled, filled + count), position + filled);
    if (holes !== undefined && count >= HOLE && isZero(buffer.subarray(filled, filled + count))) {
      if (filled > 0) yield { bytes: buffer.subarray(0, filled), position, kind: 'overlong' };
      position += filled + count;
      filled = 0;
      overlong = false;
      yield { bytes: NOTHING, position, kind: 'hole' };
      position = await holes.endFrom(position);
      continue;
    }
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

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const part = bytes.subarray(at, at + BLOCK);
    if (!part.equals(ZEROS.subarray(0, part.length))) return false;
  }
  return true;
}

/** Finds the end of a hole, without reading it where the file has no more blocks on disk than were read already. */
class Holes {
  readonly #file: Pick<OpenFile, 'read' | 'stat'>;
  readonly #length: number;
  /** Bytes of pages that hold something. */
  #data = 0;
  #page = -1;

  constructor(file: Pick<OpenFile, 'read' | 'stat'>, length: number) {
    this.#file = file;
    this.#length = length;
  }

  /** Counts what was read. */
  read(bytes: Buffer, position: number): void {
    for (let at = 0; at < bytes.length;) {
      const page = Math.floor((position + at) / PAGE);
      const next = Math.min((page + 1) * PAGE - position, bytes.length);
      const part = bytes.subarray(at, next);
      if (page !== this.#page && !part.equals(ZEROS.subarray(0, part.length))) {
        this.#page = page;
        this.#data += PAGE;
      }
      at = next;
    }
  }

  /** Where the next byte may be that is no zero. */
  async endFrom(position: number): Promise<number> {
    const { allocated, bytes } = this.#file.stat();
    if (bytes >= this.#length && allocated <= this.#data) return this.#length;
    const buffer = Buffer.allocUnsafe(16 * BLOCK);
    for (let at = position; at < this.#length;) {
      const count = await this.#file.read(buffer.subarray(0, Math.min(buffer.length, this.#length - at)), at);
      if (count <= 0) return this.#length;
      if (!isZero(buffer.subarray(0, count))) return at;
      at += count;
    }
    return this.#length;
  }
}

/** The lines of a file, by kind. */
export interface Tally {
  good: number;
  bad: number;
  torn: number;
  /** Bytes of the good lines, newlines included. */
  goodBytes: number;
  /** Where the last whole line ends. */
  end: number;
  /** The last line is good, and has no newline. */
  unended: boolean;
}

/** Is called for each line, newline included; `end` is where its text ends, -1 for a damaged one. Empty lines are left out. */
export type Visitor = (block: Block, from: number, to: number, end: number) => void | Promise<void>;

/**
 * Whether a line is one of ours is decided by its checksum, and by `accepts`, which sees the text. A last line without a
 * newline is judged like the others with `keepsTail`, and is torn without: only a checksum proves that it is whole.
 */
export async function visitLines(
  file: OpenFile,
  length: number,
  integrity: Integrity,
  accepts: ((text: string) => boolean) | undefined,
  visit?: Visitor,
  keepsTail = integrity !== 'none',
): Promise<Tally> {
  const tally: Tally = { good: 0, bad: 0, torn: 0, goodBytes: 0, end: 0, unended: false };
  let overlong = false;
  for await (const block of blocksOf(file, length)) {
    if (block.kind === 'tail' && keepsTail) {
      const { start: from, end } = lineIn(block.bytes, 0, block.bytes.length, integrity, accepts);
      if (end >= 0) {
        tally.good++;
        tally.goodBytes += block.bytes.length - from;
        tally.end = block.position + block.bytes.length;
        tally.unended = true;
        await visit?.(block, from, block.bytes.length, end);
        continue;
      }
    }
    if (block.kind !== 'lines') {
      if (block.kind === 'tail') tally.torn++;
      else if (!overlong) tally.bad++;
      overlong = block.kind === 'overlong';
      if (overlong) tally.end = block.position + block.bytes.length;
      await visit?.(block, 0, block.bytes.length, -1);
      continue;
    }
    overlong = false;
    await visitBlock(block, integrity, accepts, tally, visit);
    tally.end = block.position + block.bytes.length;
  }
  return tally;
}

function lineIn(
  bytes: Buffer,
  from: number,
  to: number,
  integrity: Integrity,
  accepts: ((text: string) => boolean) | undefined,
): { start: number; end: number } {
  const line = textIn(bytes, from, to, integrity);
  if (accepts === undefined || line.end < 0 || accepts(bytes.toString('utf8', line.start, line.end))) return line;
  return { start: from, end: -1 };
}

async function visitBlock(
  block: Block,
  integrity: Integrity,
  accepts: ((text: string) => boolean) | undefined,
  tally: Tally,
  visit: Visitor | undefined,
): Promise<void> {
  const { bytes } = block;
  for (let from = 0; from < bytes.length;) {
    const to = bytes.indexOf(NEWLINE, from);
    if (to > from) {
      const { start, end } = lineIn(bytes, from, to, integrity, accepts);
      if (end < 0) tally.bad++;
      else {
        tally.good++;
        tally.goodBytes += to + 1 - start;
      }
      const visited = visit?.(block, start, to + 1, end);
      if (visited !== undefined) await visited;
    }
    from = to + 1;
  }
}
