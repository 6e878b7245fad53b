import { crc32 } from './checksum.js';
import type { Integrity } from './contract.js';

export type { Integrity };

/** The content of a file's name: everything about a batch apart from its lines. */
export interface BatchName {
  /** Orders the files; a later one has a higher number. */
  sequence: number;
  /** Keeps names apart that have the same number; a part that was split off has `.`, and a number, behind that of the whole. */
  nonce: string;
  /** Begun so far. */
  attempts: number;
  integrity: Integrity;
}

/** Bytes of a line with its checksum and newline; a longer one is refused, and is damage where it is found. */
export const LONGEST_LINE = 64 * 1024 * 1024;

export const QUARANTINE = 'quarantine';
export const DEAD = 'dead';
/** Batches that `clear` has handed back: their files are the caller's. */
export const RETURNED = 'returned';

export const NEWLINE = 10;
export const SPACE = 32;
export const TAB = 9;
const BLANKS = 32;

const VERSION = 1;
const MOST_DIVISIONS = 20;
const PART = /^(\d{15}-[0-9a-f]{16}(?:\.\d+)*)\.(\d+)-/;
const OURS = /^(\d{15})-([0-9a-f]{16}(?:\.\d{1,10}){0,20})-(\d{1,9})-(line|suffix|none)1\.batch$/;
/** A bare name, as other programs give to a file of lines for us. */
const BARE = /^\w[\w.-]{0,199}\.batch$/;
/** As ours, of a version that we do not know. */
const LIKE_OURS = /^\d{15,}-[0-9a-f]{16}[-.]/;

/** `001763719000123-9f3a1c2b7d4e5f60-0-line1.batch` */
export function fileName({ sequence, nonce, attempts, integrity }: BatchName): string {
  // Joined, it is one string; a template of this length is kept as a tree of its parts, twice as large.
  return [String(sequence).padStart(15, '0'), nonce, attempts, `${integrity}${VERSION}.batch`].join('-');
}

/** The batch's id: the part of the name that never changes. */
export function batchId({ sequence, nonce }: BatchName): string {
  return [String(sequence).padStart(15, '0'), nonce.replaceAll('.', '/')].join('-');
}

/** The id of the batch in a file: one that is not named by us is its own. */
export function fileId(name: string): string {
  const parsed = parseName(name);
  return parsed === undefined ? name.replace(/\.batch$/, '') : batchId(parsed);
}

/** `undefined` for whatever is not a name of ours. */
export function parseName(name: string): BatchName | undefined {
  const [, sequence, nonce = '', attempts, integrity] = OURS.exec(name) ?? [];
  if (sequence === undefined) return undefined;
  return { sequence: Number(sequence), nonce, attempts: Number(attempts), integrity: integrity as Integrity };
}

/** For the file of a part: the name of the whole up to its attempts, and the number of the part. */
export function partOf(name: string): { whole: string; number: number } | undefined {
  const [, whole, number] = PART.exec(name) ?? [];
  return whole === undefined ? undefined : { whole, number: Number(number) };
}

/** The nonce of a part with that number. A name has room for 20 divisions; after those a number of its own replaces the last. */
export function partNonce(nonce: string, number: number): string {
  const [first = '', ...numbers] = nonce.split('.');
  if (numbers.length < MOST_DIVISIONS) return `${nonce}.${number}`;
  const unique = Math.floor(Math.random() * 1e10);
  return [first, ...numbers.slice(0, -1), unique].join('.');
}

/** Without reading the name: a directory may have many. */
export function isOurName(name: string): boolean {
  return OURS.test(name);
}

/** A file without our name, whose lines have no checksums. */
export function isBareName(name: string): boolean {
  return BARE.test(name) && !LIKE_OURS.test(name);
}

/** A batch by its name, of a format that we do not know or with a name that we would not give: left alone. */
export function isForeignName(name: string): boolean {
  return name.endsWith('.batch') && parseName(name) === undefined && !isBareName(name);
}

/** A copy that was not finished; the file that it was copied from is still there. */
export function isTemporary(name: string): boolean {
  if (!name.endsWith('.batch.tmp')) return false;
  const copied = name.slice(0, -'.tmp'.length);
  return parseName(copied) !== undefined || isBareName(copied);
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

/** The part of a line besides its text. */
export const OVERHEAD: Readonly<Record<Integrity, number>> = { line: BLANKS + 1, suffix: 10, none: 1 };

/**
 * The end of the text of the line `bytes[from, to)`, which is without its newline; -1 if the line is damaged.
 * `view` is of the same bytes.
 */
export function endOfText(bytes: Buffer, view: DataView, from: number, to: number, integrity: Integrity): number {
  if (integrity === 'none') return to;
  const end = to + 1 - OVERHEAD[integrity];
  if (end < from) return -1;
  const sum = integrity === 'suffix' ? readDigits(bytes, end) : readBlanks(bytes, end, to);
  return sum === crc32(view, from, end) ? end : -1;
}

/** -1 unless all of them are blanks. */
function readBlanks(bytes: Buffer, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) {
    const blank = bytes[i];
    if (blank !== TAB && blank !== SPACE) return -1;
    sum = (sum << 1) | (blank === TAB ? 1 : 0);
  }
  return sum >>> 0;
}

/** Reads the tab and eight lower-case digits that we write; -1 for anything else. */
function readDigits(bytes: Buffer, from: number): number {
  const digits = bytes.toString('latin1', from, from + 9);
  return /^\t[0-9a-f]{8}$/.test(digits) ? Number.parseInt(digits.slice(1), 16) : -1;
}
