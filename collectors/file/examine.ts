import type { FileStat, OpenFile } from './file-system.js';
import { type BatchName, fileId, parseName, temporaryName } from './format.js';
import { type Tally, visitLines } from './lines.js';
import { Quarantine } from './quarantine.js';
import { type Spool, isSame } from './spool.js';
import { Writer, discard } from './writing.js';

/** The content that was found in a file. */
export interface Examined {
  /** Good lines. */
  readonly size: number;
  /** Up to the end of the last good line. */
  readonly bytes: number;
  readonly bad: number;
  readonly torn: number;
  /** How many of the damaged lines are in `quarantine/`. */
  readonly quarantined: number;
  /** Where damaged lines are that are in `quarantine/`, and in the file still. */
  readonly badLines: ReadonlySet<number>;
  /** Damaged lines are in the file only: it must not be removed. */
  readonly unsafe: boolean;
  readonly stat: FileStat;
}

/**
 * Reads a file, and copies its damaged lines to `quarantine/`; then leaves only its good lines in it. Where the disk has no
 * room for that, the file stays as it is: what is readable can be delivered all the same. Bytes beyond `limit` were never
 * acknowledged.
 */
export async function examine<Item>(spool: Spool<Item>, name: string, limit = Infinity): Promise<Examined> {
  return await new Examination(spool, name).run(limit);
}

class Examination<Item> {
  readonly #spool: Spool<Item>;
  readonly #name: string;
  readonly #path: string;
  readonly #id: string;
  readonly #integrity: BatchName['integrity'];
  readonly #keepsTail: boolean;
  readonly #accepts: ((text: string) => boolean) | undefined;

  constructor(spool: Spool<Item>, name: string) {
    this.#spool = spool;
    this.#name = name;
    this.#path = spool.path(name);
    const parsed = parseName(name);
    this.#id = fileId(name);
    this.#integrity = parsed?.integrity ?? 'none';
    // Another program that wrote the file may have left out its last newline.
    this.#keepsTail = this.#integrity !== 'none' || parsed === undefined;
    // Without a checksum only decode can find lines that are no item.
    this.#accepts = this.#integrity === 'none' ? (text) => decodes(spool.config.decode, text) : undefined;
  }

  async run(limit: number): Promise<Examined> {
    const file = this.#spool.files.open(this.#path, 'read');
    try {
      const stat = file.stat();
      const length = Math.min(stat.bytes, limit);
      const tally = await this.#visit(file, length);
      const { good: size, bad, torn } = tally;
      const whole = { size, bytes: tally.end, bad, torn, quarantined: 0, badLines: NONE, unsafe: false, stat };
      if (bad === 0 && torn === 0 && !tally.unended) return whole;
      return await this.#mend(file, tally, whole, length);
    } finally {
      file.close();
    }
  }

  #visit(file: OpenFile, bytes: number, visit?: Parameters<typeof visitLines>[4]): Promise<Tally> {
    return visitLines(file, bytes, this.#integrity, this.#accepts, visit, this.#keepsTail);
  }

  async #mend(file: OpenFile, tally: Tally, whole: Examined, length: number): Promise<Examined> {
    const { bad, torn } = tally;
    let badLines: ReadonlySet<number> = NONE;
    try {
      if (bad > 0 || torn > 0) badLines = await this.#quarantine(file, length);
    } catch {
      return { ...whole, unsafe: true };
    }
    const quarantined = bad + torn;
    if (tally.good === 0) return { ...whole, quarantined, badLines };
    try {
      const bytes = bad > 0 ? await this.#copyGood(file, length) : await this.#cutTail(tally);
      const stat = this.#spool.files.stat(this.#path) ?? whole.stat;
      return { ...whole, bytes, quarantined, stat };
    } catch {
      // The damaged lines stay in the file, and are passed over.
      return { ...whole, quarantined, badLines };
    }
  }

  /** Copies what is no good line; answers where that is. */
  async #quarantine(file: OpenFile, bytes: number): Promise<ReadonlySet<number>> {
    const quarantine = new Quarantine(this.#spool, this.#name);
    const positions = new Set<number>();
    try {
      await this.#visit(file, bytes, (block, from, to, end) => {
        if (end >= 0) return undefined;
        positions.add(block.position + from);
        return quarantine.add(block.bytes.subarray(from, to));
      });
      await quarantine.finish(this.#id);
      return positions;
    } catch (error) {
      quarantine.abandon();
      throw error;
    }
  }

  /** Puts a copy of the good lines in the place of the file; answers its length. */
  async #copyGood(file: OpenFile, bytes: number): Promise<number> {
    const { files } = this.#spool;
    const temporary = this.#spool.path(temporaryName(this.#name));
    discard(files, undefined, temporary);
    const copy = files.create(temporary);
    try {
      const writer = new Writer(copy);
      await this.#visit(file, bytes, async (block, from, to, end) => {
        if (end < 0) return;
        await writer.add(block.bytes.subarray(from, to));
        if (block.kind === 'tail') await writer.add(NEWLINE);
      });
      await writer.finish();
      const found = files.stat(this.#path);
      if (found === undefined || !isSame(found, file.stat()))
        throw new Error('the file was moved, removed or replaced');
      files.rename(temporary, this.#path);
      copy.close();
      await this.#spool.sync();
      return writer.bytes;
    } catch (error) {
      discard(files, copy, temporary);
      throw error;
    }
  }

  /** Ends the file with its last good line, newline included; answers its length. */
  async #cutTail({ end, unended }: Tally): Promise<number> {
    const file = this.#spool.files.open(this.#path, 'write');
    try {
      if (unended) await file.write(NEWLINE, end);
      const length = unended ? end + 1 : end;
      file.truncate(length);
      await file.sync();
      return length;
    } finally {
      file.close();
    }
  }
}

const NONE: ReadonlySet<number> = new Set();
const NEWLINE = Buffer.from('\n');

function decodes(decode: (text: string) => unknown, text: string): boolean {
  try {
    decode(text);
    return true;
  } catch {
    return false;
  }
}
