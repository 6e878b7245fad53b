import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StorageError } from 'batch-please';
import { FileBatcher, type FileBatcherOptions } from '../../../collectors/file-batcher.js';
import { type FileSystem, nodeFileSystem } from '../../../collectors/file/file-system.js';
import { noMounts, testUnless } from '../../support/skips.js';

let folder: string;
let directory: string;
let open: FileBatcher<number>[];

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-around-'));
  directory = join(folder, 'spool');
  open = [];
});

afterEach(async () => {
  for (const batcher of open) await batcher.close({ timeout: 0, flush: false }).catch(() => undefined);
  fs.rmSync(folder, { recursive: true, force: true });
});

function collector(
  options: Partial<FileBatcherOptions<number>> = {},
  files: FileSystem = nodeFileSystem,
): { batcher: FileBatcher<number>; delivered: number[]; lost: number[]; rescued: number[] } {
  const delivered: number[] = [];
  const lost: number[] = [];
  const rescued: number[] = [];
  const batcher = new FileBatcher<number>(
    {
      batchDirectory: directory,
      unref: true,
      async batchFlush(batch) {
        for await (const item of batch.items()) delivered.push(item);
      },
      ...options,
    },
    files,
  );
  batcher.on('refused', () => undefined);
  batcher.on('closed', () => undefined);
  batcher.on('failed', () => undefined);
  batcher.on('lost', ({ items }) => lost.push(items));
  batcher.on('rescued', ({ size }) => rescued.push(size));
  open.push(batcher);
  return { batcher, delivered, lost, rescued };
}

const missingMounts = noMounts();

describe.each(['none', 'batch', 'item'] as const)('a full disk, durability %s', (durability) => {
  let mount: string;

  beforeEach(() => {
    mount = join(folder, 'disk');
    fs.mkdirSync(mount);
    if (missingMounts === undefined) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96k', 'tmpfs', mount]);
  });

  afterEach(async () => {
    for (const batcher of open) await batcher.close({ timeout: 0, flush: false }).catch(() => undefined);
    if (missingMounts === undefined) execFileSync('umount', ['-l', mount]);
  });

  const full = testUnless(missingMounts);

  full('G7: refuses with StorageError, keeps what it has, and takes items again when there is room', async () => {
    const { batcher, delivered } = collector({
      batchDirectory: join(mount, 'spool'),
      durability,
      encode: (item) => JSON.stringify(item).padEnd(500),
    });
    const stored: number[] = [];
    let refused = 0;
    for (let id = 1; id <= 400; id++) {
      try {
        await batcher.syncAddItem(id);
        stored.push(id);
      } catch (error) {
        expect(error).toBeInstanceOf(StorageError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(stored.length).toBeGreaterThan(50);
    await batcher.flush();
    expect(delivered).toEqual(stored);
    await batcher.syncAddItem(1000);
    await batcher.flush();
    expect(delivered).toEqual([...stored, 1000]);
    await batcher.close();
  });
});

describe('a directory that is deleted underneath', () => {
  test.each(['none', 'batch', 'item'] as const)('G7: the open file is rescued, durability %s', async (durability) => {
    const { batcher, delivered, lost } = collector({ durability });
    await batcher.syncAddItem(1);
    await batcher.syncAddItem(2);
    fs.rmSync(directory, { recursive: true });
    await batcher.flush();
    expect(delivered).toEqual([1, 2]);
    expect(lost).toEqual([]);
    await batcher.syncAddItem(3);
    await batcher.flush();
    expect(delivered).toEqual([1, 2, 3]);
  });

  test('G4: at durability item an add that went to a deleted file is not acknowledged before it is in a living one', async () => {
    const { batcher } = collector({ durability: 'item' });
    await batcher.syncAddItem(1);
    fs.rmSync(directory, { recursive: true });
    const second = await batcher.syncAddItem(2).then(
      () => 'stored',
      () => 'refused',
    );
    await batcher.syncAddItem(3);
    const inFiles = fs
      .readdirSync(directory)
      .filter((name) => name.endsWith('.batch'))
      .map((name) => fs.readFileSync(join(directory, name), 'utf8'))
      .join('');
    expect(inFiles).toMatch(/^3\s/m);
    if (second === 'stored') expect(inFiles).toMatch(/^2\s/m);
  });

  test('A1: the loss of sealed files is reported, and blocks nothing', async () => {
    let down = true;
    const { batcher, lost } = collector({
      maxBatchSize: 2,
      retry: { minDelay: 1, maxDelay: 1 },
      batchFlush: async (batch) => {
        if (down) throw new Error('down');
        for await (const _ of batch.items());
      },
    });
    for (let id = 1; id <= 4; id++) await batcher.syncAddItem(id);
    fs.rmSync(directory, { recursive: true });
    down = false;
    await batcher.flush({ timeout: 25_000 }).catch(() => undefined);
    await batcher.syncAddItem(5);
    await batcher.flush({ timeout: 25_000 }).catch(() => undefined);
    const { added, delivered, refused, dropped, quarantined, dead, lost: gone, pending } = batcher.state.spool;
    expect(pending).toBe(0);
    expect(added).toBe(delivered + refused + dropped + quarantined + dead + gone);
    expect(lost.reduce((sum, count) => sum + count, 0) + delivered).toBeGreaterThanOrEqual(5);
  });
});

testUnless(process.platform === 'linux' ? undefined : 'no /proc here')(
  'A2: open() rejects where no directory can be made, as in /proc, instead of waiting for ever',
  async () => {
    const batcher = new FileBatcher<number>({ batchDirectory: '/proc/no/such/spool', batchFlush: () => undefined });
    await expect(batcher.open()).rejects.toThrow(StorageError);
    await batcher.close().catch(() => undefined);
  },
);

describe('a clock that jumps', () => {
  test('G13: files are delivered in the order in which they were made, whatever the time of day', async () => {
    const times = [2_000_000_000_000, 5, 1_000_000_000_000, 0, 999_999_999_999_999, 7, 3];
    const expected: number[] = [];
    for (const [life, time] of times.entries()) {
      let now = time;
      const files = { ...nodeFileSystem, wallClock: () => (now -= 1000) };
      const { batcher, delivered } = collector(
        { maxBatchSize: 2, batchFlush: () => Promise.reject(new Error('down')) },
        files,
      );
      for (let item = 0; item < 5; item++) {
        expected.push(life * 10 + item);
        await batcher.syncAddItem(life * 10 + item);
      }
      await batcher.close({ timeout: 0, flush: false });
      expect(delivered).toEqual([]);
    }
    const { batcher, delivered } = collector();
    await batcher.open();
    await batcher.flush();
    expect(delivered).toEqual(expected);
  });
});
