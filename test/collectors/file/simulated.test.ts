// Faults of a disk at a chosen moment, on the simulated one: what it keeps when the power goes is known exactly.
import { TestClock, random } from 'batch-please/testing';
import { FileBatcher, type FileBatcherOptions } from '../../../collectors/file-batcher.js';
import { Disk } from './proof/disk.js';
import { CALM, type Manners, SimFiles, type Trouble } from './proof/sim-files.js';

const DIRECTORY = '/data/spool';
const AWAY = '/data/away';

function newDisk(): Disk {
  const disk = new Disk();
  for (const path of ['', '/data', AWAY, DIRECTORY]) {
    disk.makeDirectory(path);
    disk.syncNewDirectory(path);
  }
  return disk;
}

interface Process {
  readonly files: SimFiles;
  readonly clock: TestClock;
  readonly batcher: FileBatcher<number>;
  readonly delivered: number[];
  /** Names of the events that say something about files. */
  readonly told: string[];
}

function start(disk: Disk, manners: Partial<Manners> = {}, options: Partial<FileBatcherOptions<number>> = {}): Process {
  const clock = new TestClock();
  const files = new SimFiles(disk, { ...CALM, ...manners }, random(1), clock, 1_700_000_000_000, undefined);
  const delivered: number[] = [];
  const told: string[] = [];
  const batcher = new FileBatcher<number>(
    {
      batchDirectory: DIRECTORY,
      unref: true,
      clock,
      retry: { minDelay: 100, maxDelay: 100, jitter: false },
      async batchFlush(batch) {
        const items: number[] = [];
        for await (const item of batch.items()) items.push(item);
        delivered.push(...items);
      },
      ...options,
    },
    files,
  );
  for (const event of ['lost', 'unsynced', 'rescued', 'quarantined', 'unreadable'] as const) {
    batcher.on(event, () => told.push(event));
  }
  for (const event of ['closed', 'failed', 'refused', 'dropped', 'unowned'] as const)
    batcher.on(event, () => undefined);
  return { files, clock, batcher, delivered, told };
}

/** What the next process delivers. */
async function nextLife(disk: Disk): Promise<number[]> {
  disk.owners.clear();
  const { batcher, clock, delivered } = start(disk);
  void batcher.flush().then(() => batcher.close());
  await clock.advance(1000);
  return delivered.sort((a, b) => a - b);
}

const SYNCS_FAIL: Trouble = { from: 0, to: Infinity, calls: ['sync'], chance: 1, code: 'EIO' };

function refuse(): never {
  throw new Error('the sink is down');
}

describe('a sealed batch whose sync has failed, and which the sink refuses (G5)', () => {
  // What a power loss leaves is drawn: each seed is another one. Both ways of a failed sync: what it dropped is shown, or not.
  const cases = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((seed) => [true, false].map((evict) => [seed, evict] as const));

  test.each(cases)('is on the disk after its next attempt (power loss %i, evicted: %s)', async (seed, evict) => {
    const disk = newDisk();
    const trouble: Trouble[] = [];
    const { files, clock, batcher, told } = start(disk, { trouble, evict }, { maxBatchSize: 3, batchFlush: refuse });
    await clock.advance(0);
    trouble.push(SYNCS_FAIL);
    batcher.addItems([1, 2, 3]);
    await clock.advance(0);
    expect(told).toContain('unsynced');
    trouble.length = 0;
    await clock.advance(100);
    files.die();
    disk.powerLoss(random(seed));
    expect(await nextLife(disk)).toEqual([1, 2, 3]);
  });

  test.each(cases)('is on the disk after close() (power loss %i, evicted: %s)', async (seed, evict) => {
    const disk = newDisk();
    const trouble: Trouble[] = [];
    const { files, clock, batcher } = start(disk, { trouble, evict }, { maxBatchSize: 3, batchFlush: refuse });
    await clock.advance(0);
    trouble.push(SYNCS_FAIL);
    batcher.addItems([1, 2, 3]);
    await clock.advance(0);
    trouble.length = 0;
    batcher.close({ flush: false }).catch(() => undefined);
    await clock.advance(50);
    files.die();
    disk.powerLoss(random(seed));
    expect(await nextLife(disk)).toEqual([1, 2, 3]);
  });
});

test.each(Array.from({ length: 40 }, (_, index) => index + 1))(
  'item: an item that is refused while it is being synced does not come back with a power loss (G7, power loss %i)',
  async (seed) => {
    const disk = newDisk();
    // The sync of the second item takes longer than an add may; it succeeds all the same.
    const hang = { from: Infinity, to: Infinity, calls: ['sync'] as const, ms: 500 };
    const options = { durability: 'item', flushTimeout: 100, batchFlush: refuse } as const;
    const { files, clock, batcher } = start(disk, { hang }, options);
    const outcomes: string[] = [];
    const add = (item: number): void => {
      batcher.syncAddItem(item).then(
        () => outcomes.push(`${item} stored`),
        () => outcomes.push(`${item} refused`),
      );
    };
    add(1);
    await clock.advance(50);
    hang.from = 0;
    add(2);
    await clock.advance(700);
    hang.from = Infinity;
    await clock.advance(2000);
    expect(outcomes).toEqual(['1 stored', '2 refused']);
    files.die();
    disk.powerLoss(random(seed));
    expect(await nextLife(disk)).toEqual([1]);
  },
);

test('the copy of a damaged file takes its place only when it is on the disk: power losses at each sync lose no good line (G9)', async () => {
  const recovered: string[] = [];
  for (let from = 0; from < 30; from++) {
    for (let seed = 1; seed <= 4; seed++) {
      const disk = newDisk();
      const first = start(disk, {}, { maxBatchSize: 3, batchFlush: refuse });
      first.batcher.addItems([1, 2, 3]);
      await first.clock.advance(0);
      first.files.die();
      disk.owners.clear();
      const [file] = disk.current.get(DIRECTORY)?.values() ?? [];
      file?.write(0, Buffer.from('#'));
      file?.sync(file.dirty);

      // The disk answers no sync from some operation on, until the power goes.
      const hang = { from, to: Infinity, calls: ['sync'] as const, ms: Infinity };
      const second = start(disk, { hang }, { batchFlush: refuse });
      second.batcher.open().catch(() => undefined);
      await second.clock.advance(500);
      second.files.die();
      disk.powerLoss(random(seed));
      recovered.push((await nextLife(disk)).join());
    }
  }
  expect([...new Set(recovered)]).toEqual(['2,3']);
});

test('nothing but the loss is reported of a file that was removed before its sync (G17)', async () => {
  const disk = newDisk();
  const first = start(disk, {}, { maxBatchSize: 1, batchFlush: refuse });
  first.batcher.addItems([1, 2]);
  await first.clock.advance(0);
  first.files.die();
  disk.owners.clear();

  // The first sync takes so long that the second file is removed before its own.
  const hang = { from: 0, to: Infinity, calls: ['sync'], ms: 500 } as const;
  const { batcher, clock, told, delivered } = start(disk, { hang }, { maxBatchSize: 1, batchFlush: refuse });
  await batcher.open();
  await clock.advance(0);
  disk.removeDirectory(DIRECTORY);
  batcher.flush().catch(() => undefined);
  await clock.advance(3000);
  expect({ told: [...new Set(told)], delivered }).toEqual({ told: ['lost'], delivered: [] });
});

test.each(['batch', 'item'] as const)(
  'a file whose copy loses its name while that is being synced is copied once more (G17, %s)',
  async (durability) => {
    const disk = newDisk();
    const { files, clock, batcher, told } = start(disk, {}, { durability, batchFlush: refuse });
    await batcher.syncAddItem(1);
    const [name = ''] = disk.names(DIRECTORY);
    disk.moveAway(`${DIRECTORY}/${name}`, `${AWAY}/${name}`);
    const { syncDirectory } = files;
    let moves = 0;
    files.syncDirectory = (path) => {
      // The copy has its name by then.
      if (disk.names(DIRECTORY).includes(name) && moves++ === 0) disk.renameDirectory(DIRECTORY, '/data/moved');
      return syncDirectory.call(files, path);
    };
    batcher.close({ flush: false }).catch(() => undefined);
    await clock.advance(1000);
    files.die();
    expect({ moves: moves > 0, told: told.includes('lost') }).toEqual({ moves: true, told: false });
    expect(await nextLife(disk)).toEqual([1]);
  },
);

test.each([1, 3])(
  'attempts whose reads are never answered hold 4 descriptors at most (G16, %i lanes)',
  async (lanes) => {
    const disk = newDisk();
    const hang = { from: 0, to: Infinity, calls: ['read'], ms: Infinity } as const;
    const { files, clock, batcher } = start(
      disk,
      { hang },
      { maxBatchSize: 1, flushTimeout: 30, flushConcurrency: lanes, retry: { minDelay: 1, maxDelay: 1 } },
    );
    batcher.addItems([1, 2, 3, 4, 5, 6]);
    await clock.advance(5000);
    // Each lane may begin one more at the moment when there are four.
    expect(files.inUse).toBeLessThanOrEqual(4 + lanes);
    expect(batcher.state.spool).toMatchObject({ added: 6, delivered: 0, pending: 6 });
  },
);

test('close({ timeout: 400 }) over a sync that hangs ends 400 + 1000 ms later, whatever waits for it (A8)', async () => {
  const disk = newDisk();
  const hang = { from: Infinity, to: Infinity, calls: ['sync'] as const, ms: Infinity };
  const { clock, batcher } = start(disk, { hang }, { batchFlush: refuse });
  await batcher.syncAddItem(1);
  hang.from = 0;
  let ended = false;
  const ends = (): void => {
    ended = true;
  };
  batcher.close({ timeout: 400 }).then(ends, ends);
  await clock.advance(1390);
  const early = ended;
  await clock.advance(20);
  expect({ early, ended }).toEqual({ early: false, ended: true });
});

test('attempts begin again when the disk answers late reads', async () => {
  const disk = newDisk();
  const hang = { from: 0, to: 60, calls: ['read'], ms: 2000 } as const;
  const { files, clock, batcher, delivered } = start(disk, { hang }, { maxBatchSize: 1, flushTimeout: 30 });
  batcher.addItems([1, 2, 3]);
  await clock.advance(10_000);
  expect({ delivered, inUse: files.inUse }).toEqual({ delivered: [1, 2, 3], inUse: 0 });
});

test('the first add waits for the names of 500 files, and for none of their contents', async () => {
  const disk = newDisk();
  const first = start(disk, {}, { maxBatchSize: 1, batchFlush: refuse });
  first.batcher.addItems(Array.from({ length: 500 }, (_, item) => item));
  await first.clock.advance(0);
  first.files.die();
  disk.owners.clear();
  expect(disk.names(DIRECTORY)).toHaveLength(500);

  const hang = { from: 0, to: Infinity, calls: ['read', 'sync'], ms: Infinity } as const;
  const { files, clock, batcher } = start(disk, { hang });
  let stored = false;
  void batcher.syncAddItem(-1).then(() => {
    stored = true;
  });
  await clock.advance(0);
  expect(stored).toBe(true);
  // Eight files are read ahead.
  expect(files.ops).toBeLessThan(60);
});

test('damaged lines do not count as delivered when close() ends while their file is moved to quarantine/ (A1)', async () => {
  const disk = newDisk();
  const trouble: Trouble[] = [];
  const hang = { from: Infinity, to: Infinity, calls: ['makeDirectory'] as const, ms: Infinity };
  let down = true;
  const { clock, batcher } = start(
    disk,
    { trouble, hang },
    {
      maxBatchSize: 3,
      async batchFlush(batch) {
        if (down) refuse();
        for await (const item of batch.items()) expect(item).toBeDefined();
        hang.from = 0; // the move begins, and never ends
      },
    },
  );
  await clock.advance(0);
  batcher.addItems([1, 2, 3]);
  await clock.advance(0);
  const name = disk.names(DIRECTORY).find((found) => found.endsWith('.batch')) ?? '';
  disk.find(`${DIRECTORY}/${name}`).write(0, Buffer.from('?'));
  // No copy can be made of the damaged line: its file itself is kept.
  trouble.push({ from: 0, to: Infinity, calls: ['create'], chance: 1, code: 'ENOSPC' });
  down = false;
  await clock.advance(100);
  batcher.close({ timeout: 50 }).catch(() => undefined);
  await clock.advance(5000);
  expect(batcher.state.spool).toMatchObject({ added: 3, delivered: 2, quarantined: 1, lost: 0, pending: 0 });
});
