import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { type FileBatch, FileBatcher } from '../../collectors/file-batcher.js';
import { makeFolder } from '../../collectors/file/file-system.js';
import {
  type Collector,
  type Delivery,
  type RecordBatch,
  type Triggers,
  emptyBatch,
  isComplete,
  join,
} from './collector.js';
import type { Filled, Piece } from './cutter.js';

/** Bytes. A longer record becomes a file of its own, as the lines of a spool are limited. */
const LONGEST_PIECE = 8 * 1024 * 1024;

const NUMBER = /^\d{1,15}$/;
const FULL = ['size', 'weight', '-'];
const OWN_FILE = /^@([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** A piece as it is in the spool: the fields of a line, then base64, or the name of its own file. */
interface Stored extends Piece {
  readonly file: string | undefined;
}

/**
 * Each record is in a file before the next is read, so that it survives the end of this process, however it ends.
 *
 * @throws LockedError, StorageError from `open`
 */
export function spooled(directory: string, triggers: Triggers, delivery: Delivery): Collector {
  const large = joinPath(directory, 'large');
  const { maxTimeSinceFirstItem, flushInterval, flushConcurrency, retry } = triggers;
  // Counted here, as files know nothing of records. Another open file shows that the last one was cut by time.
  let filled: Filled = emptyBatch();
  let open: FileBatch<Piece> | undefined;
  let stored: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | undefined;
  const files = new FileBatcher<Piece>({
    shouldFlush: isComplete,
    maxTimeSinceFirstItem,
    flushInterval,
    flushConcurrency,
    retry,
    giveUp: 'drop',
    batchDirectory: directory,
    encode: (piece) => encode(piece, large),
    decode: (text) => decode(text, large),
    batchFlush: async (file, context) => {
      const { batch, own } = await load(file);
      await delivery.deliver(batch, context);
      remove(own);
    },
    // Its file is in dead/ already, and stays there.
    batchDeadLetter: async (file) => {
      const { batch } = await load(file);
      delivery.bury?.(batch);
    },
  });
  return {
    filled: () => {
      if (files.state.batch !== open) filled = emptyBatch();
      return filled;
    },
    add: (piece) => {
      filled =
        piece.full === undefined
          ? { records: filled.records + piece.records, bytes: filled.bytes + piece.bytes }
          : emptyBatch();
      stored = files.syncAddItem(piece);
      stored.catch((error: unknown) => {
        failure ??= { error };
      });
    },
    open: async () => {
      await makeSpool(large, directory);
      await files.open();
    },
    ready: async () => {
      await stored.catch(() => undefined);
      if (failure !== undefined) throw failure.error;
      open = files.state.batch;
    },
    finish: () => finish(files),
    hurry: () => void files.flush(),
  };
}

/** Whether everything was delivered. */
async function finish(files: FileBatcher<Piece>): Promise<boolean> {
  await files.flush({ hurry: false }).catch(() => undefined);
  await files.close({ timeout: Infinity }).catch(() => undefined);
  const { added, delivered } = files.state.spool;
  return delivered === added;
}

async function makeSpool(large: string, spool: string): Promise<void> {
  try {
    await makeFolder(large);
  } catch (error) {
    const expected = 'a directory that can be made and written';
    throw new Error(`--spool must be ${expected}, and is "${spool}": ${String(error)}`, { cause: error });
  }
}

function encode({ records, full, bytes, buffers }: Piece, large: string): string {
  const head = `${records} ${full ?? '-'} ${bytes} `;
  if (bytes <= LONGEST_PIECE) return head + Buffer.concat(buffers).toString('base64');
  const name = randomUUID();
  const descriptor = openSync(joinPath(large, name), 'wx', 0o600);
  try {
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length;) at += writeSync(descriptor, buffer, at);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return `${head}@${name}`;
}

function decode(text: string, large: string): Stored {
  const [records = '', full = '', bytes = '', content, ...more] = text.split(' ');
  // A line of another program must neither be delivered as something else nor name a file.
  const isPiece = NUMBER.test(records) && FULL.includes(full) && NUMBER.test(bytes) && more.length === 0;
  if (!isPiece || content === undefined) throw new Error('no piece of records');
  const name = OWN_FILE.exec(content)?.[1];
  const inLine = name === undefined ? Buffer.from(content, 'base64') : undefined;
  if (inLine !== undefined && inLine.length !== Number(bytes)) throw new Error('a piece of another length');
  return {
    records: Number(records),
    full: full === 'size' || full === 'weight' ? full : undefined,
    bytes: Number(bytes),
    buffers: inLine === undefined ? [] : [inLine],
    file: name === undefined ? undefined : joinPath(large, name),
  };
}

/** Reads into memory, as the command gets the number of records before the records. */
async function load(batch: FileBatch<Piece>): Promise<{ batch: RecordBatch; own: string[] }> {
  const loaded = emptyBatch();
  const own: string[] = [];
  for await (const piece of batch.items()) {
    const { file } = piece as Stored; // made by decode
    join(loaded, piece);
    if (file === undefined) continue;
    loaded.buffers.push(readFileSync(file));
    own.push(file);
  }
  return { batch: loaded, own };
}

function remove(files: readonly string[]): void {
  for (const file of files) rmSync(file, { force: true });
}
