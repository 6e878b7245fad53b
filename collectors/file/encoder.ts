import { crc32 } from './checksum.js';
import { type Integrity, NEWLINE, OVERHEAD, SPACE, TAB } from './format.js';

/** Four blanks for four bits, as one number: a space for 0, a tab for 1. */
const BLANKS_OF_BITS = Uint32Array.from({ length: 16 }, (_, bits) => {
  let blanks = 0;
  for (let bit = 8; bit > 0; bit >>= 1) blanks = blanks * 256 + (bits & bit ? TAB : SPACE);
  return blanks;
});

/** Bytes: of what is asked for at a time, so that groups of about one length find room, and of what is kept. */
const STEP = 4 * 1024;
const LARGEST_KEPT = 512 * 1024;

/** Turns texts into lines. Its memory serves the next group as well, once it was given back. */
export class Encoder {
  #spare: Buffer | undefined;

  /** The lines of a group, checksums and newlines included; the texts must be without newline. */
  encode(lines: readonly { readonly text: string }[], integrity: Integrity): Buffer {
    const overhead = OVERHEAD[integrity];
    let total = 0;
    let longest = 0;
    for (const { text } of lines) {
      total += text.length + overhead;
      if (text.length > longest) longest = text.length;
    }
    // A unit of UTF-16 takes up to three bytes, most take one.
    let bytes = this.#take(total + 2 * longest);
    let view = viewOf(bytes);
    let at = 0;
    for (const { text } of lines) {
      if (at + text.length * 3 + overhead > bytes.length) {
        const larger = this.#take(bytes.length * 2 + text.length * 3);
        bytes.copy(larger, 0, 0, at);
        bytes = larger;
        view = viewOf(bytes);
      }
      const from = at;
      at += bytes.write(text, at, 'utf8');
      if (integrity === 'line') at = writeBlanks(view, at, crc32(bytes, from, at));
      else if (integrity === 'suffix') {
        at += bytes.write(`\t${crc32(bytes, from, at).toString(16).padStart(8, '0')}`, at, 'latin1');
      }
      bytes[at] = NEWLINE;
      at++;
    }
    return bytes.subarray(0, at);
  }

  /** Releases the bytes of this group, which are not needed any more. */
  giveBack({ buffer }: Buffer): void {
    if (buffer.byteLength <= LARGEST_KEPT) this.#spare = Buffer.from(buffer);
  }

  #take(length: number): Buffer {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined && spare.length >= length) return spare;
    return Buffer.allocUnsafeSlow(Math.ceil(length / STEP) * STEP); // not of the pool, which others use too
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function writeBlanks(view: DataView, at: number, sum: number): number {
  for (let shift = 28; shift >= 0; shift -= 4, at += 4) view.setUint32(at, BLANKS_OF_BITS[(sum >>> shift) & 15] ?? 0);
  return at;
}
