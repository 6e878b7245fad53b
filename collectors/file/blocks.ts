import type { OpenFile } from './file-system.js';
import { LONGEST_LINE, NEWLINE } from './format.js';

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

  /** Where the first byte is that is no zero. */
  async endFrom(position: number): Promise<number> {
    const { allocated, bytes } = this.#file.stat();
    if (bytes >= this.#length && allocated <= this.#data) return this.#length;
    const buffer = Buffer.allocUnsafe(16 * BLOCK);
    for (let at = position; at < this.#length;) {
      const count = await this.#file.read(buffer.subarray(0, Math.min(buffer.length, this.#length - at)), at);
      if (count <= 0) return this.#length;
      const read = buffer.subarray(0, count);
      // All of it at once first: a byte at a time would take as long as the reading.
      if (!isZero(read)) return at + read.findIndex((byte) => byte !== 0);
      at += count;
    }
    return this.#length;
  }
}
