import * as zlib from 'node:zlib';

/** How a line proves that it is whole. */
export type Integrity = 'line' | 'suffix' | 'none';

/** What the name of a file says; the whole truth about a batch apart from its lines. */
export interface BatchName {
  /** Orders the files; a later one has a higher number. */
  sequence: number;
  /** Keeps names apart that have the same number. */
  nonce: string;
  /** Begun so far. */
  attempts: number;
  integrity: Integrity;
}

/** Bytes of a line with its checksum and newline; a longer one is refused, and is damage where it is found. */
export const LONGEST_LINE = 64 * 1024 * 1024;

export const QUARANTINE = 'quarantine';
export const DEAD = 'dead';

const NEWLINE = 10;
const SPACE = 32;
const TAB = 9;
const BLANKS = 32;

const VERSION = 1;
const OURS = /^(\d{15})-([0-9a-f]{16})-(\d{1,9})-(line|suffix|none)1\.batch$/;
/** As the seed named its files, and anybody else who puts lines into a file for us. */
const BARE = /^\w[\w.-]{0,199}\.batch$/;
const TEMPORARY = /^\w[\w.-]{0,199}\.batch\.tmp$/;

/** `000001763719000123-9f3a1c2b7d4e5f60-0-line1.batch` */
export function fileName({ sequence, nonce, attempts, integrity }: BatchName): string {
  return `${String(sequence).padStart(15, '0')}-${nonce}-${attempts}-${integrity}${VERSION}.batch`;
}

/** The batch's id: the part of the name that never changes. */
export function batchId({ sequence, nonce }: BatchName): string {
  return `${String(sequence).padStart(15, '0')}-${nonce}`;
}

/** `undefined` for whatever is not a name of ours. */
export function parseName(name: string): BatchName | undefined {
  const [, sequence, nonce = '', attempts, integrity] = OURS.exec(name) ?? [];
  if (sequence === undefined) return undefined;
  return { sequence: Number(sequence), nonce, attempts: Number(attempts), integrity: integrity as Integrity };
}

/** A file without our name, whose lines have no checksums. */
export function isBareName(name: string): boolean {
  return BARE.test(name) && !OURS.test(name);
}

export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

export function temporaryName(name: string): string {
  return `${name}.tmp`;
}

/** Sorts names as their batches are delivered: bare ones first, which can only be older, then by number. */
export function byAge(a: string, b: string): number {
  const [first, second] = [parseName(a), parseName(b)];
  if (first === undefined || second === undefined) {
    if (first !== undefined || second !== undefined) return first === undefined ? -1 : 1;
    return (Number.parseInt(a, 10) || 0) - (Number.parseInt(b, 10) || 0) || (a < b ? -1 : 1);
  }
  return first.sequence - second.sequence || (first.nonce < second.nonce ? -1 : 1);
}

/** Eight blanks for a byte: a space for 0, a tab for 1. */
const BLANKS_OF_BYTE = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(2).padStart(8, '0').replaceAll('0', ' ').replaceAll('1', '\t'),
);

/** The line of an item, checksum and newline included; the text must be without newline. */
export function lineOf(text: string, integrity: Integrity): string {
  if (integrity === 'none') return `${text}\n`;
  const sum = crc32(text);
  if (integrity === 'suffix') return `${text}\t${sum.toString(16).padStart(8, '0')}\n`;
  const high = `${BLANKS_OF_BYTE[sum >>> 24] ?? ''}${BLANKS_OF_BYTE[(sum >>> 16) & 255] ?? ''}`;
  const low = `${BLANKS_OF_BYTE[(sum >>> 8) & 255] ?? ''}${BLANKS_OF_BYTE[sum & 255] ?? ''}`;
  return `${text}${high}${low}\n`;
}

/**
 * The end of the text of the line `bytes[from, to)`, which is without its newline; -1 if the line is damaged.
 */
export function endOfText(bytes: Buffer, from: number, to: number, integrity: Integrity): number {
  if (integrity === 'none') return to;
  if (integrity === 'suffix') {
    const end = to - 9;
    if (end < from || bytes[end] !== TAB) return -1;
    const sum = hexNumber(bytes, end + 1);
    return sum === crc32(bytes.subarray(from, end)) ? end : -1;
  }
  const end = to - BLANKS;
  if (end < from) return -1;
  let sum = 0;
  for (let i = end; i < to; i++) {
    const blank = bytes[i];
    if (blank === TAB) sum = (sum << 1) | 1;
    else if (blank === SPACE) sum <<= 1;
    else return -1;
  }
  return sum >>> 0 === crc32(bytes.subarray(from, end)) ? end : -1;
}

/** The eight lower-case digits that we write, and nothing else; -1 for what is none. */
function hexNumber(bytes: Buffer, from: number): number {
  const digits = bytes.toString('latin1', from, from + 8);
  return /^[0-9a-f]{8}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

type Checksum = (data: string | Uint8Array, initial?: number) => number;

/** CRC-32, as in zip and PNG; `initial` goes on from the bytes before. Node has it from 20.15 on. */
export const crc32: Checksum = (zlib as { crc32?: Checksum }).crc32 ?? tableChecksum;

let table: Uint32Array | undefined;

/** Several times slower. */
export function tableChecksum(data: string | Uint8Array, initial = 0): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let sum = ~initial;
  for (const byte of typeof data === 'string' ? Buffer.from(data) : data) {
    sum = (table[(sum ^ byte) & 255] ?? 0) ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}

export { NEWLINE };
