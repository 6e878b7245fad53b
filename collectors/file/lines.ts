import { type Block, blocksOf } from './blocks.js';
import { viewOf } from './checksum.js';
import type { OpenFile } from './file-system.js';
import { type Integrity, NEWLINE, endOfText } from './format.js';

/**
 * Goes through the pieces of a block, which are its lines, and what is damaged before a line that is whole: such a line may
 * stand behind a hole that has swallowed a newline. Every byte is in one piece, but for newlines of empty lines.
 */
export class Pieces {
  /** Bytes of the piece, its newline included. */
  from = 0;
  to = 0;
  /** Where its text ends; -1 for a damaged one. */
  textEnd = -1;
  /** Bytes of the whole line that stands behind this piece. */
  #behind = -1;
  #next = 0;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #integrity: Integrity;

  constructor(bytes: Buffer, integrity: Integrity) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#integrity = integrity;
  }

  /** Whether there is another piece. */
  next(): boolean {
    const bytes = this.#bytes;
    this.from = this.to;
    if (this.#behind >= 0) {
      this.textEnd = this.#behind;
      this.#behind = -1;
    } else {
      while (bytes[this.#next] === NEWLINE) this.#next++;
      if (this.#next >= bytes.length) return false;
      this.from = this.#next;
      const newline = bytes.indexOf(NEWLINE, this.from);
      const end = newline < 0 ? bytes.length : newline;
      this.#next = newline < 0 ? end : end + 1;
      this.textEnd = endOfText(bytes, this.#view, this.from, end, this.#integrity);
      if (this.textEnd < 0 && this.#findBehindHole(end)) return true;
    }
    this.to = this.#next;
    return true;
  }

  #findBehindHole(end: number): boolean {
    for (const start of behindZeros(this.#bytes, this.from, end)) {
      this.#behind = endOfText(this.#bytes, this.#view, start, end, this.#integrity);
      if (this.#behind < 0) continue;
      this.to = start;
      return true;
    }
    return false;
  }
}

/** Behind the last zero, and behind the longest row of zeros: the text of an item may have some as well. */
function behindZeros(bytes: Buffer, from: number, to: number): readonly number[] {
  const last = bytes.subarray(from, to).lastIndexOf(0) + 1 + from;
  if (last === from) return [];
  let longest = 0;
  let behind = last;
  for (let at = bytes.indexOf(0, from); at >= 0 && at < to; at = bytes.indexOf(0, at)) {
    const start = at;
    while (at < to && bytes[at] === 0) at++;
    if (at - start < longest) continue;
    longest = at - start;
    behind = at;
  }
  return behind === last ? [last] : [last, behind];
}

/** The lines of a file, by kind. */
export interface Tally {
  good: number;
  /** Damaged pieces. */
  bad: number;
  torn: number;
  /** Where the last whole line ends. */
  end: number;
  /** The last line is good, and has no newline. */
  unended: boolean;
}

/** Is called for each piece, newline included; `end` is where its text ends, -1 for a damaged one. Empty lines are left out. */
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
  const tally: Tally = { good: 0, bad: 0, torn: 0, end: 0, unended: false };
  let overlong = false;
  for await (const block of blocksOf(file, length)) {
    const { kind } = block;
    if (kind === 'lines' || (kind === 'tail' && keepsTail)) {
      overlong = false;
      await visitBlock(block, integrity, accepts, tally, visit);
    } else {
      if (kind === 'tail') tally.torn++;
      else if (!overlong) tally.bad++;
      overlong = kind === 'overlong';
      if (overlong) tally.end = block.position + block.bytes.length;
      await visit?.(block, 0, block.bytes.length, -1);
    }
  }
  return tally;
}

async function visitBlock(
  block: Block,
  integrity: Integrity,
  accepts: ((text: string) => boolean) | undefined,
  tally: Tally,
  visit: Visitor | undefined,
): Promise<void> {
  const { bytes, kind, position } = block;
  const pieces = new Pieces(bytes, integrity);
  while (pieces.next()) {
    const { from, to } = pieces;
    let { textEnd } = pieces;
    if (textEnd >= 0 && accepts !== undefined && !accepts(bytes.toString('utf8', from, textEnd))) textEnd = -1;
    const isLast = kind === 'tail' && to === bytes.length;
    if (textEnd >= 0) {
      tally.good++;
      tally.unended = isLast;
    } else if (isLast) tally.torn++;
    else tally.bad++;
    if (textEnd >= 0 || !isLast) tally.end = position + to;
    const visited = visit?.(block, from, to, textEnd);
    if (visited !== undefined) await visited;
  }
  if (kind === 'lines') tally.end = position + bytes.length;
}
