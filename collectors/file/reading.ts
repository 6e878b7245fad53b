import { basename } from 'node:path';
import { StorageError } from '../../src/index.js';
import type { OpenFile } from './file-system.js';
import { type Block, blocksOf } from './blocks.js';
import { parseName } from './format.js';
import { Pieces } from './lines.js';
import { Quarantine } from './quarantine.js';
import { type Spool, storageError } from './spool.js';

/** A batch that is read. */
export interface Readable {
  readonly id: string;
  readonly filename: string;
  readonly bytes: number;
  readonly file: {
    /** Positions of the lines that are in `quarantine/` already. */
    readonly badLines: ReadonlySet<number>;
    /** The only way to a file that has no name any more. */
    readonly source: OpenFile | undefined;
  };
  /** Resolves when the file has all its lines. */
  whole(): Promise<void>;
  /** The readers of the attempt, which end with it. */
  readonly readers: Set<Reader>;
  /** The findings of a reader; how many items are good, if it came to the end of the file. */
  wasRead(good: number | undefined, bad: readonly number[], quarantined: boolean): void;
}

/** An open file that may be closed at any time, also while a read is under way. */
export class Reader implements Pick<OpenFile, 'read' | 'stat'> {
  readonly #file: OpenFile;
  readonly #shared: boolean;
  readonly #reads: { abandonedReads: number };
  #reading = false;
  #closed = false;

  constructor(file: OpenFile, shared: boolean, reads: { abandonedReads: number }) {
    this.#reads = reads;
    this.#file = file;
    this.#shared = shared;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check();
    this.#reading = true;
    try {
      const count = await this.#file.read(into, position);
      this.#check();
      return count;
    } finally {
      this.#reading = false;
      if (this.#closed) {
        this.#reads.abandonedReads--;
        this.#close();
      }
    }
  }

  stat(): ReturnType<OpenFile['stat']> {
    this.#check();
    return this.#file.stat();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The descriptor's number must not be given to another file before the read is done.
    if (this.#reading) this.#reads.abandonedReads++;
    else this.#close();
  }

  #check(): void {
    if (this.#closed) throw new StorageError('the attempt that these items belong to is over');
  }

  #close(): void {
    if (this.#shared) return;
    try {
      this.#file.close();
    } catch {
      // It was only read.
    }
  }
}

/** The items of a file, a piece of it at a time. A line that is no item goes to `quarantine/`, once, and blocks nothing. */
export async function* readItems<Item>(spool: Spool<Item>, batch: Readable): AsyncGenerator<Item, void, undefined> {
  await batch.whole();
  const name = basename(batch.filename);
  const quarantine = new Quarantine(spool, name);
  const bad: number[] = [];
  let safe = true;
  const quarantineLine = async (bytes: Uint8Array, position: number): Promise<void> => {
    if (batch.file.badLines.has(position)) return;
    bad.push(position);
    try {
      if (safe) await quarantine.add(bytes);
    } catch {
      safe = false; // no room for it: the file itself is kept then
    }
  };
  const reader = open(spool, batch);
  batch.readers.add(reader);
  let good = 0;
  let whole = false;
  try {
    for await (const block of blocksOf(reader, batch.bytes)) {
      for (const line of linesOf(block, name, spool.config.decode)) {
        if (line.good) {
          good++;
          yield line.item;
        } else await quarantineLine(line.bytes, line.position);
      }
    }
    whole = true;
  } finally {
    reader.close();
    batch.readers.delete(reader);
    try {
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- quarantineLine changes it
      if (safe) await quarantine.finish(batch.id);
    } catch {
      safe = false;
    }
    if (!safe) quarantine.abandon();
    batch.wasRead(whole ? good : undefined, bad, safe);
  }
}

type ReadLine<Item> = { good: true; item: Item } | { good: false; bytes: Uint8Array; position: number };

function* linesOf<Item>(
  { bytes, position, kind }: Block,
  name: string,
  decode: (text: string) => Item,
): Generator<ReadLine<Item>> {
  const integrity = parseName(name)?.integrity ?? 'none';
  if (kind === 'hole') return; // nothing is there that could be kept
  if (kind === 'overlong') {
    yield { good: false, bytes, position };
    return;
  }
  const pieces = new Pieces(bytes, integrity);
  while (pieces.next()) {
    const { from, to, textEnd } = pieces;
    let line: ReadLine<Item> = { good: false, bytes: bytes.subarray(from, to), position: position + from };
    try {
      if (textEnd >= 0) line = { good: true, item: decode(bytes.toString('utf8', from, textEnd)) };
    } catch {
      // The message of decode may quote the item, which belongs into no log.
    }
    yield line;
  }
}

function open<Item>(spool: Spool<Item>, batch: Readable): Reader {
  const { source } = batch.file;
  if (source !== undefined) return new Reader(source, true, spool);
  try {
    return new Reader(spool.files.open(batch.filename, 'read'), false, spool);
  } catch (error) {
    throw storageError(`the file of batch ${batch.id} cannot be read`, error);
  }
}
