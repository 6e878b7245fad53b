import type { RecoveryReport } from './contract.js';
import type { OpenFile } from './file-system.js';
import { type BatchName, byAge, isBareName, isTemporary, parseName, temporaryName } from './format.js';
import { type Tally, visitLines } from './lines.js';
import type { Spool } from './spool.js';
import { Writer, discard } from './writing.js';

/** What was found of an earlier life. */
export interface Found {
  readonly name: string;
  /** Lines. */
  readonly size: number;
  readonly bytes: number;
}

/** More names than this are left to the next open: they have to be sorted in memory. */
const MOST_FILES = 1_000_000;

/**
 * What earlier lives have left: file by file, oldest first, streaming. Every step may be cut short by a crash and is
 * then repeated by the next open.
 *
 * Nothing here fails because of what is in the directory. What cannot be read stays.
 */
export async function recover<Item>(
  spool: Spool<Item>,
  adopt: (found: Found, name: BatchName | undefined) => Promise<void>,
  stopped: () => boolean,
): Promise<RecoveryReport> {
  const report = {
    files: 0,
    items: 0,
    tornLines: 0,
    badLines: 0,
    quarantinedFiles: 0,
    unreadableFiles: 0,
  };
  const names = await spool.files.names(spool.path(''));
  // Left behind by a copy that was not finished: what it was copied from is still there.
  for (const name of names) if (isTemporary(name)) discard(spool.files, undefined, spool.path(name));
  const batches = names.filter((name) => parseName(name) !== undefined || isBareName(name)).sort(byAge);
  for (const name of batches) spool.seen(parseName(name) ?? NO_NAME);
  await countAside(spool);
  await spool.syncFound();
  for (const [index, name] of batches.entries()) {
    if (stopped()) break;
    try {
      if (index >= MOST_FILES) throw new Error('too many files');
      const found = await new Recovery(spool, name).run(report);
      if (found !== undefined) await adopt(found, parseName(name));
    } catch (error) {
      report.unreadableFiles++;
      const filename = spool.path(name);
      spool.tell('unreadable', { filename, error }, `a file cannot be recovered, and stays: ${filename}`);
    }
  }
  return report;
}

const NO_NAME: BatchName = { sequence: 0, nonce: '', attempts: 0, integrity: 'none' };

/** What lies in `quarantine/` and `dead/` takes room as well. */
async function countAside<Item>(spool: Spool<Item>): Promise<void> {
  if (spool.config.maxBytes === Infinity) return;
  for (const folder of ['quarantine', 'dead']) {
    const names = await spool.files.names(spool.path(folder)).catch(() => []);
    for (const name of names) {
      try {
        const file = spool.files.open(`${spool.path(folder)}/${name}`, 'read');
        const { bytes } = file.stat();
        spool.bytes += bytes;
        spool.aside += bytes;
        file.close();
      } catch {
        // No file of ours.
      }
    }
  }
}

/** Of one file. */
class Recovery<Item> {
  readonly #spool: Spool<Item>;
  readonly #name: string;
  readonly #path: string;
  readonly #integrity: BatchName['integrity'];
  readonly #accepts: ((text: string) => boolean) | undefined;

  constructor(spool: Spool<Item>, name: string) {
    this.#spool = spool;
    this.#name = name;
    this.#path = spool.path(name);
    this.#integrity = parseName(name)?.integrity ?? 'none';
    // Without a checksum it is for decode to tell what is no item.
    this.#accepts = this.#integrity === 'none' ? (text) => decodes(spool.config.decode, text) : undefined;
  }

  async run(report: RecoveryReport): Promise<Found | undefined> {
    const file = this.#spool.files.open(this.#path, 'read');
    let tally: Tally;
    let bytes: number;
    try {
      ({ bytes } = file.stat());
      tally = await visitLines(file, bytes, this.#integrity, this.#accepts);
      // Its process may have died before it came to that.
      if (this.#spool.config.durability !== 'none') await file.sync();
      if (tally.bad > 0 || tally.torn > 0) {
        await this.#quarantine(file, bytes);
        report.quarantinedFiles++;
        report.tornLines += tally.torn;
        report.badLines += tally.bad;
        if (tally.good > 0) bytes = await this.#mend(file, bytes, tally);
      }
    } finally {
      file.close();
    }
    if (tally.good === 0) {
      this.#spool.files.remove(this.#path);
      return undefined;
    }
    report.files++;
    report.items += tally.good;
    this.#spool.bytes += bytes;
    return { name: this.#name, size: tally.good, bytes };
  }

  /** Copies what is no good line. */
  async #quarantine(file: OpenFile, bytes: number): Promise<void> {
    const quarantine = this.#spool.quarantine(this.#name);
    try {
      await visitLines(file, bytes, this.#integrity, this.#accepts, (block, from, to, end) => {
        return end < 0 ? quarantine.add(block.bytes.subarray(from, to)) : undefined;
      });
      await quarantine.finish(this.#name.replace(/\.batch$/, ''));
    } catch (error) {
      quarantine.abandon();
      throw error;
    }
  }

  /** Leaves the good lines in the file; answers how many bytes these are. */
  async #mend(file: OpenFile, bytes: number, tally: Tally): Promise<number> {
    if (tally.bad === 0) {
      await this.#cutTail(tally.end);
      return tally.end;
    }
    const { files } = this.#spool;
    const temporary = this.#spool.path(temporaryName(this.#name));
    const copy = files.create(temporary);
    try {
      const writer = new Writer(copy);
      await visitLines(file, bytes, this.#integrity, this.#accepts, (block, from, to, end) => {
        return end < 0 ? undefined : writer.add(block.bytes.subarray(from, to));
      });
      await writer.finish();
      files.rename(temporary, this.#path);
      copy.close();
      await this.#spool.sync();
      return writer.bytes;
    } catch (error) {
      discard(files, copy, temporary);
      throw error;
    }
  }

  async #cutTail(length: number): Promise<void> {
    const file = this.#spool.files.open(this.#path, 'write');
    try {
      file.truncate(length);
      await file.sync();
    } finally {
      file.close();
    }
  }
}

function decodes(decode: (text: string) => unknown, text: string): boolean {
  try {
    decode(text);
    return true;
  } catch {
    return false;
  }
}
