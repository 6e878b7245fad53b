import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StorageError } from '../../../src/index.js';
import { FileBatcher } from '../../../collectors/file-batcher.js';
import { noMounts, testUnless } from '../../support/skips.js';

/** Real disks: their limits and owners are the operating system's to enforce. */
let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-real-'));
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

testUnless(noMounts())(
  'G18: on a full tmpfs adds are refused, and everything that was stored is delivered',
  async () => {
    const disk = join(folder, 'disk');
    fs.mkdirSync(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status).toBe(0);
    try {
      const stored = new Set<number>();
      const delivered = new Set<number>();
      const refusals: unknown[] = [];
      const batcher = new FileBatcher<{ id: number; pad: string }>({
        batchDirectory: join(disk, 'spool'),
        maxBatchSize: 1000,
        async batchFlush(batch) {
          for await (const { id } of batch.items()) delivered.add(id);
        },
      });
      batcher.on('refused', () => undefined);
      for (let id = 0; id < 400; id++) {
        await batcher.syncAddItem({ id, pad: 'x'.repeat(1000) }).then(
          () => stored.add(id),
          (error: unknown) => refusals.push(error),
        );
      }
      expect(refusals.length).toBeGreaterThan(0);
      for (const error of refusals) expect(error).toBeInstanceOf(StorageError);
      await batcher.flush();
      expect(stored.size).toBeGreaterThan(100);
      expect([...stored].filter((id) => !delivered.has(id))).toEqual([]);
      await batcher.close();
    } finally {
      spawnSync('umount', [disk]);
    }
  },
);
