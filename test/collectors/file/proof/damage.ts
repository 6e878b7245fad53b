import { TestClock, random } from 'batch-please/testing';
import { FileBatcher, type Integrity, type RecoveryReport } from '../../../../collectors/file-batcher.js';
import { fileName } from '../../../../collectors/file/format.js';
import { Disk } from './disk.js';
import { CALM, SimFiles } from './sim-files.js';

const DIRECTORY = '/spool';

/** CRC-32, a bit at a time: written anew, so that the format is held against its description and not against itself. */
function checksum(text: string): number {
  let sum = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/** The line of an item as the format says. */
export function lineOf(text: string, integrity: Integrity): string {
  if (integrity === 'none') return `${text}\n`;
  if (integrity === 'suffix') return `${text}\t${checksum(text).toString(16).padStart(8, '0')}\n`;
  const bits = checksum(text).toString(2).padStart(32, '0');
  return `${text}${bits.replaceAll('0', ' ').replaceAll('1', '\t')}\n`;
}

export interface Sample {
  name: string;
  integrity: Integrity;
  /** As encoded. */
  texts: string[];
  bytes: Buffer;
  /** Where each line begins, and after the last one the end. */
  starts: number[];
}

export function sample(integrity: Integrity, texts: string[]): Sample {
  const lines = texts.map((text) => Buffer.from(lineOf(text, integrity)));
  const starts = [0];
  for (const line of lines) starts.push((starts.at(-1) ?? 0) + line.length);
  const name = fileName({ sequence: 1, nonce: '0123456789abcdef', attempts: 0, integrity });
  return { name, integrity, texts, bytes: Buffer.concat(lines), starts };
}

/** Texts of many shapes; with JSON's own pitfalls. */
export function textsOf(seed: number, count: number): string[] {
  const source = random(seed);
  const pieces = ['a', ' ', '\t', '"', '\\', '{', 'é', '€', '😀', '\u2028', '0', '\0'];
  return Array.from({ length: count }, (_, id) => {
    let pad = '';
    for (let length = source.int(24); length > 0; length--) pad += source.pick(pieces);
    return JSON.stringify(source.chance(0.1) ? id : { id, pad });
  });
}

export interface Recovered {
  report: RecoveryReport;
  /** What flush saw, encoded again. */
  texts: string[];
  /** All bytes in `quarantine/`, file after file. */
  quarantine: Buffer;
  /** Names that are left in the directory. */
  left: string[];
}

/** Opens a directory with that one file in it, on a simulated disk, and delivers everything. */
export async function recovered(name: string, bytes: Uint8Array): Promise<Recovered> {
  const disk = new Disk();
  disk.makeDirectory(DIRECTORY);
  disk.create(`${DIRECTORY}/${name}`).write(0, bytes);
  const clock = new TestClock();
  const files = new SimFiles(disk, CALM, random(1), clock, 1, undefined);
  const texts: string[] = [];
  const batcher = new FileBatcher<unknown>(
    {
      batchDirectory: DIRECTORY,
      unref: true,
      clock,
      retry: false,
      async batchFlush(batch) {
        for await (const item of batch.items()) texts.push(JSON.stringify(item));
      },
    },
    files,
  );
  batcher.on('quarantined', () => undefined);
  batcher.on('unreadable', () => undefined);
  const report = await batcher.open();
  await batcher.flush();
  await batcher.close();
  const aside = [...(disk.current.get(`${DIRECTORY}/quarantine`)?.values() ?? [])];
  const quarantine = Buffer.concat(aside.map(({ current }) => current));
  return { report, texts, quarantine, left: [...disk.directory(DIRECTORY).keys()] };
}

/** What is wrong with what came back of a damaged file of which only the bytes `[from, to)` were changed. */
export async function judge(original: Sample, damaged: Buffer, from: number, to: number): Promise<string | undefined> {
  const { texts, quarantine, left } = await recovered(original.name, damaged);
  if (left.length > 0) return `${left.join()} is left`;
  // Lines that do not touch the damage, nor follow a newline that may be missing.
  const untouched = original.texts.filter((_text, index) => {
    const start = original.starts[index] ?? 0;
    const end = original.starts[index + 1] ?? 0;
    return end <= from || (start >= to && start !== from && !(start === to && damaged[start - 1] !== 10));
  });
  let at = 0;
  for (const text of texts) if (text === untouched[at]) at++;
  if (at < untouched.length) return `G10: the intact item ${untouched[at] ?? ''} is not delivered, or out of order`;
  if (original.integrity === 'none') return undefined;
  const lost = original.texts.length - texts.length;
  if (to - from === 1 && lost > 2) return `G10: ${lost} items are lost to one byte`;
  const known = new Set(original.texts);
  const fabricated = texts.find((text) => !known.has(text));
  if (fabricated !== undefined) return `G2: ${fabricated} was never added`;
  if (texts.length > original.texts.length) return 'G2: items come twice';
  // Nothing is thrown away that is not delivered: every byte of the file is in a good line or in quarantine.
  let good = 0;
  for (const text of texts) good += Buffer.byteLength(lineOf(text, original.integrity));
  const blank = countEmptyLines(damaged);
  if (good + quarantine.length + blank !== damaged.length) {
    return `G9: of ${damaged.length} bytes ${good} were delivered and ${quarantine.length} are in quarantine`;
  }
  return undefined;
}

function countEmptyLines(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === 10 && (at === 0 || bytes[at - 1] === 10)) count++;
  return count;
}

/** Whatever a disk, a person or another program may do to a file. */
export function damage(bytes: Buffer, seed: number): Buffer {
  const source = random(seed);
  let result = Buffer.from(bytes);
  for (let count = 1 + source.int(3); count > 0; count--) {
    const { length } = result;
    const at = source.int(length);
    const end = at + source.int(length - at);
    const kind = source.int(7);
    if (kind === 0) result[at] = source.int(256);
    else if (kind === 1) result.fill(0, at, end);
    else if (kind === 2) result = result.subarray(0, at);
    else if (kind === 3) result = Buffer.concat([result.subarray(0, at), result.subarray(end)]);
    else if (kind === 4) result = Buffer.concat([result.subarray(0, at), Buffer.from('\n'), result.subarray(at)]);
    else if (kind === 5)
      for (let byte = at; byte < Math.min(end, result.length); byte++) result[byte] = source.int(256);
    else result = Buffer.concat([result, bytes.subarray(at, end)]);
    if (result.length === 0) break;
    result = Buffer.from(result);
  }
  return result;
}
