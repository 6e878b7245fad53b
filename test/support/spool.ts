import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileBatcher, type FileBatch, type FileBatcherOptions } from 'batch-please/collectors/file';
import { type FileSystem, type OpenFile, nodeFileSystem } from '../../collectors/file/file-system.js';

const made: string[] = [];

/** A directory of its own, removed by `removeDirectories`. */
export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'file-batcher-'));
  made.push(path);
  return path;
}

export function removeDirectories(): void {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
}

/** The batch files, oldest first, with their contents. */
export function filesIn(path: string): { name: string; text: string }[] {
  return readdirSync(path)
    .filter((name) => name.endsWith('.batch'))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(path, name), 'utf8') }));
}

export interface Life<Item> {
  batcher: FileBatcher<Item>;
  /** What was delivered, batch by batch. */
  batches: Item[][];
  delivered(): Item[];
}

/** A batcher that notes what it delivers. */
export function life<Item = number>(
  path: string,
  options: Partial<FileBatcherOptions<Item>> = {},
  files?: FileSystem,
): Life<Item> {
  const batches: Item[][] = [];
  const batchFlush = async (batch: FileBatch<Item>): Promise<void> => {
    const items: Item[] = [];
    for await (const item of batch.items()) items.push(item);
    batches.push(items);
  };
  const batcher = new FileBatcher<Item>({ batchDirectory: path, batchFlush, ...options }, files);
  for (const event of [
    'lost',
    'quarantined',
    'rescued',
    'dead',
    'unreadable',
    'held',
    'failed',
    'closed',
    'refused',
    'dropped',
  ] as const) {
    batcher.on(event, () => undefined); // a warning would only be noise
  }
  return { batcher, batches, delivered: () => batches.flat() };
}

/** Stores items and goes without having delivered any: what a crash leaves, with the directory free again. */
export async function leave<Item>(
  path: string,
  items: readonly Item[],
  options: Partial<FileBatcherOptions<Item>> = {},
): Promise<void> {
  const batchFlush = (): Promise<void> => Promise.reject(new Error('down'));
  const { batcher } = life<Item>(path, { batchFlush, retry: false, ...options });
  for (const item of items) await batcher.syncAddItem(item);
  await batcher.close({ flush: false });
}

export interface Trace {
  /** Names of the calls, in order. */
  calls: string[];
  /** Asked before each call: throw to make it fail. */
  fault: (call: string) => void;
  /** What a call that takes its time waits for. */
  wait: (call: string) => Promise<void> | undefined;
  /** Bytes that the next writes take. */
  shortWrites: number[];
}

/** The real file system, with calls that are noted and may fail. */
export function traced(): { files: FileSystem; trace: Trace } {
  const trace: Trace = { calls: [], fault: () => undefined, wait: () => undefined, shortWrites: [] };
  const note = (call: string): void => {
    trace.calls.push(call);
    trace.fault(call);
  };
  const wrap = (file: OpenFile): OpenFile => ({
    write(bytes, position) {
      note('write');
      const most = trace.shortWrites.shift();
      return file.write(most === undefined ? bytes : bytes.subarray(0, most), position);
    },
    async read(into, position) {
      note('read');
      return file.read(into, position);
    },
    async sync() {
      note('sync');
      await trace.wait('sync');
      await file.sync();
    },
    truncate(length) {
      note('truncate');
      file.truncate(length);
    },
    stat: () => file.stat(),
    close() {
      file.close();
    },
  });
  const files: FileSystem = {
    ...nodeFileSystem,
    create(path) {
      note('create');
      return wrap(nodeFileSystem.create(path));
    },
    open(path, mode) {
      note('open');
      return wrap(nodeFileSystem.open(path, mode));
    },
    rename(from, to) {
      note('rename');
      nodeFileSystem.rename(from, to);
    },
    remove(path) {
      note('remove');
      nodeFileSystem.remove(path);
    },
    async syncDirectory(path) {
      note('syncDirectory');
      await trace.wait('syncDirectory');
      await nodeFileSystem.syncDirectory(path);
    },
  };
  return { files, trace };
}

export function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
