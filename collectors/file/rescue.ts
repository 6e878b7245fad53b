import { crc32 } from './checksum.js';
import type { Integrity } from './format.js';
import { visitLines } from './lines.js';
import type { OpenFile } from './file-system.js';
import { Writer } from './writing.js';

/** Bytes; beyond it what is not synced yet is not kept any longer, and a rescue has to read it back. */
const MOST_KEPT = 32 * 1024 * 1024;

interface Group {
  bytes: Buffer;
  lines: number;
}

/**
 * What was acknowledged and has not been synced: a sync that fails may take it along, so that the descriptor reads
 * nothing, or zeros, where it was.
 */
export class Kept {
  #groups: Group[] = [];
  #bytes = 0;
  /** Where the first of them is in the file. */
  from = 0;
  complete = true;

  get bytes(): number {
    return this.#bytes;
  }

  add(group: Group): void {
    if (!this.complete) return;
    this.#groups.push(group);
    this.#bytes += group.bytes.length;
    if (this.#bytes > MOST_KEPT) this.#drop();
  }

  /** Everything below is safe. */
  synced(position: number): void {
    let count = 0;
    for (const { bytes } of this.#groups) {
      if (this.from + bytes.length > position) break;
      this.from += bytes.length;
      this.#bytes -= bytes.length;
      count++;
    }
    this.#groups.splice(0, count);
    // Also what was not kept: it can be read back.
    if (this.#groups.length === 0) {
      this.from = Math.max(this.from, position);
      this.complete = true;
    }
  }

  [Symbol.iterator](): Iterator<Group> {
    return this.#groups[Symbol.iterator]();
  }

  #drop(): void {
    this.#groups = [];
    this.#bytes = 0;
    this.complete = false;
  }
}

export interface Rescued {
  lines: number;
  bytes: number;
  checksum: number;
}

/**
 * Copies the acknowledged part of a file whose descriptor cannot be trusted: what was synced is read back, the rest
 * comes from memory. Lines that turn out to be damaged are left out.
 */
export async function rescue(
  from: OpenFile,
  to: OpenFile,
  length: number,
  integrity: Integrity,
  kept: Kept,
): Promise<Rescued> {
  const writer = new Writer(to);
  let checksum = 0;
  const add = (piece: Uint8Array): Promise<void> => {
    checksum = crc32(piece, 0, piece.length, checksum);
    return writer.add(piece);
  };
  const readable = kept.complete ? kept.from : length;
  let { good: lines } = await visitLines(from, readable, integrity, undefined, (block, start, end, text) => {
    return text < 0 ? undefined : add(block.bytes.subarray(start, end));
  });
  for (const group of kept) {
    await add(group.bytes);
    lines += group.lines;
  }
  await writer.finish();
  return { lines, bytes: writer.bytes, checksum };
}
