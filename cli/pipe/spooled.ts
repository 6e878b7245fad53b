import { type FileBatch, FileBatcher } from '../../collectors/file-batcher.js';
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
import { LargeFiles } from './large-files.js';

/** Bytes. A longer record becomes a file of its own, as the lines of a spool are limited. */
const LONGEST_PIECE = 8 * 1024 * 1024;

const NUMBER = /^\d{1,15}$/;
const FULL = ['size', 'weight', '-'];

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
  const large = new LargeFiles(directory);
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
    decode,
    batchFlush: async (file, context) => {
      const { batch, own } = await load(file, large);
      await delivery.deliver(batch, context);
      large.delivered(file.filename, own);
    },
    // Its file is in dead/ already, and stays there.
    batchDeadLetter: async (file) => {
      const { batch } = await load(file, large);
      delivery.bury?.(batch);
    },
  });
  files.on('failed', ({ error }) => delivery.failed(error));
  // Reported by delivery.
  for (const event of ['dropped', 'dead'] as const) files.on(event, () => undefined);
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
    open: () => openSpool(files, large, directory),
    ready: async () => {
      await stored.catch(() => undefined);
      if (failure !== undefined) throw failure.error;
      open = files.state.batch;
    },
    finish: () => finish(files, large),
    hurry: () => void files.flush(),
  };
}

/** Whether everything was delivered. */
async function finish(files: FileBatcher<Piece>, large: LargeFiles): Promise<boolean> {
  await files.flush({ hurry: false }).catch(() => undefined);
  await files.close({ timeout: Infinity }).catch(() => undefined);
  large.sweep();
  const { added, delivered } = files.state.spool;
  return delivered === added;
}

async function openSpool(files: FileBatcher<Piece>, large: LargeFiles, spool: string): Promise<void> {
  try {
    await large.makeFolder();
  } catch (error) {
    const expected = 'a directory that can be made and written';
    throw new Error(`--spool must be ${expected}, and is "${spool}": ${String(error)}`, { cause: error });
  }
  await files.open();
  large.removeOrphans();
}

function encode({ records, full, bytes, buffers }: Piece, large: LargeFiles): string {
  const head = `${records} ${full ?? '-'} ${bytes} `;
  return head + (bytes <= LONGEST_PIECE ? Buffer.concat(buffers).toString('base64') : `@${large.write(buffers)}`);
}

function decode(text: string): Stored {
  const [records = '', full = '', bytes = '', content, ...more] = text.split(' ');
  // A line of another program must neither be delivered as something else nor name a file.
  const isPiece = NUMBER.test(records) && FULL.includes(full) && NUMBER.test(bytes) && more.length === 0;
  if (!isPiece || content === undefined) throw new Error('no piece of records');
  const file = content.startsWith('@') && LargeFiles.isName(content.slice(1)) ? content.slice(1) : undefined;
  const inLine = file === undefined ? Buffer.from(content, 'base64') : undefined;
  if (inLine !== undefined && inLine.length !== Number(bytes)) throw new Error('a piece of another length');
  return {
    records: Number(records),
    full: full === 'size' || full === 'weight' ? full : undefined,
    bytes: Number(bytes),
    buffers: inLine === undefined ? [] : [inLine],
    file,
  };
}

/** Reads into memory, as the command gets the number of records before the records. */
async function load(batch: FileBatch<Piece>, large: LargeFiles): Promise<{ batch: RecordBatch; own: string[] }> {
  const loaded = emptyBatch();
  const own: string[] = [];
  for await (const piece of batch.items()) {
    const { file } = piece as Stored; // made by decode
    join(loaded, piece);
    if (file === undefined) continue;
    loaded.buffers.push(large.read(file));
    own.push(file);
  }
  return { batch: loaded, own };
}
