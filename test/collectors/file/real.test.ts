import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { StorageError } from '../../../src/index.js';
import { FileBatcher } from '../../../collectors/file-batcher.js';
import { noMounts, testUnless } from '../../support/skips.js';

/** A real disk that is full: that is the operating system's to say. Nothing here is timed. */
jest.setTimeout(300_000);

let folder: string;
let disk: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-real-'));
  disk = join(folder, 'disk');
  fs.mkdirSync(disk);
});

afterEach(async () => {
  await unmount();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** A descriptor that is just being closed keeps the disk for a moment: real time. */
async function unmount(): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    if (spawnSync('umount', [disk]).status === 0 || !isMounted()) return;
    await pause(100);
  }
  spawnSync('umount', ['-l', disk]);
}

function isMounted(): boolean {
  return fs.readFileSync('/proc/mounts', 'utf8').includes(` ${disk} `);
}

testUnless(noMounts()).each(['none', 'batch', 'item'] as const)(
  'G7, G18: a disk is full, free, and full again: adds are refused only while it is, and everything that was stored is delivered (%s)',
  async (durability) => {
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status).toBe(0);
    const ballast = join(disk, 'ballast');
    fs.writeFileSync(ballast, Buffer.alloc(100 * 1024));
    const stored: number[] = [];
    const delivered: number[] = [];
    const batcher = new FileBatcher<{ id: number; pad: string }>({
      batchDirectory: join(disk, 'spool'),
      maxBatchSize: 1000,
      durability,
      async batchFlush(batch) {
        for await (const { id } of batch.items()) delivered.push(id);
      },
    });
    batcher.on('refused', () => undefined);
    let id = 0;
    const addUntil = async (isEnough: (refusals: number, added: number) => boolean): Promise<unknown[]> => {
      const refusals: unknown[] = [];
      for (let added = 0; !isEnough(refusals.length, added); added++) {
        const own = id++;
        await batcher.syncAddItem({ id: own, pad: 'x'.repeat(1000) }).then(
          () => stored.push(own),
          (error: unknown) => refusals.push(error),
        );
      }
      return refusals;
    };
    const refusals = await addUntil((refused) => refused === 10);
    const before = stored.length;
    fs.rmSync(ballast);
    expect(await addUntil((_, added) => added === 20)).toEqual([]);
    expect(stored.length).toBe(before + 20);
    refusals.push(...(await addUntil((refused) => refused === 10)));
    for (const error of refusals) expect(error).toBeInstanceOf(StorageError);
    await batcher.flush();
    expect(delivered).toEqual(stored);
    await batcher.close();
  },
);

test.each(['none', 'batch', 'item'] as const)(
  'G7: a directory that is removed while nothing is in it is made again for the next item (%s)',
  async (durability) => {
    const directory = join(folder, 'spool');
    const delivered: number[] = [];
    const batcher = new FileBatcher<number>({
      batchDirectory: directory,
      durability,
      async batchFlush(batch) {
        for await (const item of batch.items()) delivered.push(item);
      },
    });
    await batcher.open();
    fs.rmSync(directory, { recursive: true });
    await batcher.syncAddItem(1);
    await batcher.flush();
    expect(delivered).toEqual([1]);
    await batcher.close();
  },
);
