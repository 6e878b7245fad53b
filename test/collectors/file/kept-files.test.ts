// Files that are kept for the user, in dead/ and in returned/: their ids, and whether they are on the disk.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestClock, random } from 'batch-please/testing';
import { FileBatcher, type FileBatcherOptions } from '../../../collectors/file-batcher.js';
import { type FileSystem, type OpenFile, nodeFileSystem } from '../../../collectors/file/file-system.js';
import { expectSoon } from '../../support/soon.js';
import { directory, failure, filesIn, leave, life, removeDirectories, traced } from '../../support/spool.js';
import { Disk } from './proof/disk.js';
import { CALM, SimFiles, type Trouble } from './proof/sim-files.js';

afterEach(removeDirectories);

test('a batch that is given up keeps its id, in the event and for batchDeadLetter (G19)', async () => {
  const ids: Record<string, string> = {};
  const { batcher } = life(directory(), {
    maxAttempts: 1,
    batchFlush: (batch, { id }) => {
      Object.assign(ids, { attempt: id, before: batch.id });
      throw new Error('down');
    },
    batchDeadLetter: (batch) => void (ids['deadLetter'] = batch.id),
  });
  batcher.on('dead', ({ id }) => (ids['event'] = id));
  batcher.addItem(1);
  await batcher.flush().catch(() => undefined);
  await batcher.close().catch(() => undefined);
  expect(ids).toEqual(
    Object.fromEntries(['attempt', 'before', 'event', 'deadLetter'].map((key) => [key, ids['attempt']])),
  );
});

test('a batch that clear() hands back keeps its id (G19)', async () => {
  const { batcher } = life(directory(), { batchFlush: () => undefined });
  await batcher.syncAddItem(1);
  const { id } = batcher.state.batch ?? {};
  const [batch] = batcher.clear();
  await batcher.close();
  expect(batch).toMatchObject({ id, size: 1 });
  expect(batch?.filename).toContain('/returned/');
});

test('a batch whose batchPostFlush never ends is delivered: the next process finds no file of it (G8)', async () => {
  const path = directory();
  let posts = 0;
  const batchPostFlush = (): Promise<never> => {
    posts++;
    return new Promise(() => undefined);
  };
  const { batcher, delivered } = life(path, { batchPostFlush });
  batcher.on('failed', () => undefined);
  await batcher.syncAddItem(1);
  void batcher.flush().catch(() => undefined);
  await expectSoon(() => Promise.resolve(posts > 0)); // a slow disk takes longer than close waits
  await batcher.close({ timeout: 200 }).catch(() => undefined);
  expect(delivered()).toEqual([1]);
  expect(filesIn(path)).toEqual([]);
});

test('clear() of 200 batches that were found takes few descriptors at a time (G16)', async () => {
  const path = directory();
  const { batcher: first } = life(path, {
    maxBatchSize: 1,
    batchFlush: () => Promise.reject(new Error('down')),
  });
  first.on('failed', () => undefined);
  for (let item = 0; item < 200; item++) await first.syncAddItem(item);
  await first.close({ flush: false });
  const { files, most, answer } = counted();
  const { batcher } = life(path, {}, files);
  batcher.pause();
  await batcher.open();
  expect(batcher.clear()).toHaveLength(200);
  await expectSoon(() => Promise.resolve(filesIn(path).length === 0), 50_000);
  answer();
  await batcher.close();
  expect(most()).toBeLessThan(24);
});

/** A file system that counts the open descriptors of batch files, and syncs none of them before `answer`. */
function counted(): { files: FileSystem; most: () => number; answer: () => void } {
  const real = nodeFileSystem;
  let open = 0;
  let most = 0;
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const count = (file: OpenFile): OpenFile => {
    most = Math.max(most, ++open);
    const { close, sync } = file;
    file.sync = () => answered.then(() => sync.call(file));
    file.close = () => {
      open--;
      close.call(file);
    };
    return file;
  };
  const files = Object.create(real) as FileSystem;
  Object.assign(files, {
    open: (...args: Parameters<FileSystem['open']>) => count(real.open(...args)),
    create: (...args: Parameters<FileSystem['create']>) => count(real.create(...args)),
  });
  return {
    files,
    most: () => most,
    answer: () => {
      answer();
    },
  };
}

const DIRECTORY = '/data/spool';

/** A batch of three items whose sync fails; then the disk works again. */
async function unsynced(seed: number, evict: boolean, options: Partial<FileBatcherOptions<number>>) {
  const disk = new Disk();
  for (const path of ['', '/data', DIRECTORY]) {
    disk.makeDirectory(path);
    disk.syncNewDirectory(path);
  }
  const trouble: Trouble[] = [];
  const clock = new TestClock();
  const files = new SimFiles(disk, { ...CALM, trouble, evict }, random(1), clock, 1_700_000_000_000, undefined);
  const batcher = new FileBatcher<number>(
    {
      batchDirectory: DIRECTORY,
      maxBatchSize: 3,
      clock,
      batchFlush() {
        throw new Error('the sink is down');
      },
      ...options,
    },
    files,
  );
  for (const event of ['failed', 'dropped', 'unsynced', 'dead', 'closed'] as const) batcher.on(event, () => undefined);
  await clock.advance(0);
  trouble.push({ from: 0, to: Infinity, calls: ['sync'], chance: 1, code: 'EIO' });
  batcher.addItems([1, 2, 3]);
  await clock.advance(0);
  trouble.length = 0;
  return {
    batcher,
    clock,
    /** The text of the files in a folder, after power loss. */
    afterPowerLoss(folder: string): string {
      files.die();
      disk.powerLoss(random(seed));
      const names = disk.names(`${DIRECTORY}/${folder}`);
      return names.map((name) => Buffer.from(disk.find(`${DIRECTORY}/${folder}/${name}`).current).toString()).join('');
    },
  };
}

// What a power loss leaves is drawn: each seed is another one. Both ways of a failed sync: what it dropped is shown, or not.
const cases = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((seed) => [true, false].map((evict) => [seed, evict] as const));
const LINES = /^1\s+2\s+3\s+$/;

test.each(cases)(
  'a batch in dead/ whose sync had failed is on the disk after close() (power loss %i, evicted: %s)',
  async (seed, evict) => {
    const { batcher, clock, afterPowerLoss } = await unsynced(seed, evict, { maxAttempts: 1 });
    batcher.close().catch(() => undefined);
    await clock.advance(50);
    expect(afterPowerLoss('dead')).toMatch(LINES);
  },
);

test.each(cases)(
  'a batch that clear() hands back is on the disk after close() (power loss %i, evicted: %s)',
  async (seed, evict) => {
    const retry = { minDelay: 10_000, maxDelay: 10_000 };
    const { batcher, clock, afterPowerLoss } = await unsynced(seed, evict, { retry });
    expect(batcher.clear()).toHaveLength(1);
    batcher.close().catch(() => undefined);
    await clock.advance(50);
    expect(afterPowerLoss('returned')).toMatch(LINES);
  },
);

test('the second file of one id could not be renamed: it stays, and is not delivered with the id of the first (G19)', async () => {
  const [path, other] = [directory(), directory()];
  await leave(path, [1]);
  await leave(other, [2]);
  // Power loss may leave a file under the name that another has by now.
  const name = filesIn(path)[0]?.name.replace('-0-line', '-1-line') ?? '';
  writeFileSync(join(path, name), filesIn(other)[0]?.text ?? '');
  const { files, trace } = traced();
  trace.fault = (call) => {
    if (call === 'rename') throw failure('EIO');
  };
  // The first file is read long after the second, which must not take its id for that.
  const slow: typeof files = {
    ...files,
    open(opened, mode) {
      const file = files.open(opened, mode);
      if (!opened.includes('-0-line')) return file;
      const read: typeof file.read = async (into, position) => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return file.read(into, position);
      };
      return { ...file, read };
    },
  };
  const first = life(path, {}, slow);
  const unreadable: string[] = [];
  first.batcher.on('unreadable', ({ filename }) => unreadable.push(filename));
  expect(await first.batcher.open()).toMatchObject({ files: 1, items: 1, unreadableFiles: 1 });
  await first.batcher.close();
  expect(first.delivered()).toEqual([1]);
  expect(unreadable).toEqual([join(path, name)]);
  const second = life(path);
  expect(await second.batcher.open()).toMatchObject({ files: 1, unreadableFiles: 0 });
  await second.batcher.close();
  expect(second.delivered()).toEqual([2]);
});
