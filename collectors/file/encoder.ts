import { crc32, viewOf } from './checksum.js';
import { type Integrity, NEWLINE, OVERHEAD, SPACE, TAB } from './format.js';

/** Four blanks for four bits, as one number: a space for 0, a tab for 1. */
const BLANKS_OF_BITS = Uint32Array.from({ length: 16 }, (_, bits) => {
  let blanks = 0;
  for (let bit = 8; bit > 0; bit >>= 1) blanks = blanks * 256 + (bits & bit ? TAB : SPACE);
  return blanks;
});
const DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));

/** Follows a text in its line; the checksum is left open. */
const END: Readonly<Record<Integrity, string>> = {
  line: ' '.repeat(OVERHEAD.line - 1) + '\n',
  suffix: '\t00000000\n',
  none: '\n',
};

/** Units of UTF-16: texts are written together up to about this length, since a call of `write` costs more than a text. */
const PIECE = 32 * 1024;

/** Bytes: of what is asked for at a time, so that groups of about one length find room, and of what is kept. */
const STEP = 4 * 1024;
const LARGEST_KEPT = 512 * 1024;

type Texts = readonly { readonly text: string }[];

/** Turns texts into lines. Its memory serves the next group as well, once it was given back. */
export class Encoder {
  #spare: Buffer | undefined;

  /** The lines of a group, checksums and newlines included; the texts must be without newline. */
  encode(lines: Texts, integrity: Integrity): Buffer {
    const end = END[integrity];
    let total = 0;
    let longest = 0;
    for (const { text } of lines) {
      total += text.length + end.length;
      if (text.length > longest) longest = text.length;
    }
    // A unit of UTF-16 takes up to three bytes, most take one.
    let bytes = this.#take(total + 2 * Math.min(total, PIECE + longest + end.length));
    let filled = 0;
    for (let next = 0; next < lines.length;) {
      const first = next;
      let piece = '';
      for (; next < lines.length && piece.length < PIECE; next++) piece += (lines[next]?.text ?? '') + end;
      if (filled + piece.length * 3 > bytes.length) {
        const larger = this.#take(bytes.length * 2 + piece.length * 3);
        bytes.copy(larger, 0, 0, filled);
        bytes = larger;
      }
      const from = filled;
      filled += bytes.write(piece, from, 'utf8');
      if (integrity === 'none') continue;
      const plain = filled - from === piece.length; // a byte for each unit
      addChecksums(bytes, from, lines, first, next, plain, integrity);
    }
    return bytes.subarray(0, filled);
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

/** Fills the checksums in of the lines from `first` up to `next`, which begin at `from`. */
function addChecksums(
  bytes: Buffer,
  from: number,
  lines: Texts,
  first: number,
  next: number,
  plain: boolean,
  integrity: 'line' | 'suffix',
): void {
  const view = viewOf(bytes);
  const overhead = OVERHEAD[integrity];
  let at = from;
  for (let i = first; i < next; i++) {
    const end = plain ? at + (lines[i]?.text.length ?? 0) : bytes.indexOf(NEWLINE, at) + 1 - overhead;
    const sum = crc32(view, at, end);
    if (integrity === 'line') writeBlanks(view, end, sum);
    else writeDigits(view, end + 1, sum);
    at = end + overhead;
  }
}

function writeBlanks(view: DataView, from: number, sum: number): void {
  const blanks = BLANKS_OF_BITS; // in the bundle it is a `var`, which is read anew each time
  let at = from;
  for (let shift = 28; shift >= 0; shift -= 4, at += 4) view.setUint32(at, blanks[(sum >>> shift) & 15] ?? 0);
}

function writeDigits(view: DataView, from: number, sum: number): void {
  const digits = DIGITS;
  let at = from;
  for (let shift = 28; shift >= 0; shift -= 4, at++) view.setUint8(at, digits[(sum >>> shift) & 15] ?? 0);
}
