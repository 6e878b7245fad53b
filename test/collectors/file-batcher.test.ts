import { spawnSync } from 'node:child_process';
import fs, {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { LockedError, OptionsError, OverflowError, StorageError } from 'batch-please';
import { FileBatcher, type RecoveryReport, type SpoolCounts } from 'batch-please/collectors/file';
import { TestClock, gate, random } from 'batch-please/testing';
import { crc32, tableChecksum, viewOf } from '../../collectors/file/checksum.js';
import { Encoder } from '../../collectors/file/encoder.js';
import { watch } from '../support/collectors.js';
import { root } from '../support/project.js';
import { directory, failure, filesIn, leave, life, removeDirectories, traced } from '../support/spool.js';

afterEach(removeDirectories);

const CLEAN: RecoveryReport = {
  files: 0,
  items: 0,
  tornLines: 0,
  badLines: 0,
  quarantinedFiles: 0,
  unreadableFiles: 0,
};

/** G1's balance: everything that was ever added is somewhere, and counted there. */
function expectBalanced({ state }: { state: { spool: SpoolCounts } }): void {
  const { added, delivered, refused, dropped, quarantined, dead, lost, pending } = state.spool;
  expect(delivered + refused + dropped + quarantined + dead + lost + pending).toBe(added);
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

describe('the collector', () => {
  test('delivers files of one item per line, and removes them', async () => {
    const path = directory();
    const seen: string[] = [];
    const batcher = new FileBatcher<number>({
      batchDirectory: path,
      maxBatchSize: 3,
      batchFlush: (batch) => {
        expect(batch.filename.startsWith(path)).toBe(true);
        expect(batch.bytes).toBe(statSync(batch.filename).size);
        seen.push(
          `${batch.size}: ${readFileSync(batch.filename, 'utf8')
            .split('\n')
            .map((l) => l.trim())
            .join()}`,
        );
      },
    });
    for (const item of numbers(7)) await batcher.syncAddItem(item);
    await batcher.close();
    expect(seen).toEqual(['3: 0,1,2,', '3: 3,4,5,', '1: 6,']);
    expect(filesIn(path)).toEqual([]);
    expectBalanced(batcher);
  });

  test('has no file and no timer before the first item, nor after the last', async () => {
    const path = directory();
    const clock = new TestClock();
    const { batcher } = life(path, { clock });
    await batcher.open();
    expect(filesIn(path)).toEqual([]);
    await batcher.syncAddItem(1);
    expect(filesIn(path)).toHaveLength(1);
    await batcher.flush();
    expect(filesIn(path)).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    await batcher.close();
  });

  test("the seed's own hooks run besides ours, as options and as methods, and cannot switch ours off", async () => {
    const path = directory();
    const calls: string[] = [];
    class Mine extends FileBatcher<number> {
      override batchFlush = (): void => void calls.push('flush');
      override batchPreFlush(): void {
        calls.push('pre');
      }
      override batchPostFlush = (): void => void calls.push(`post ${filesIn(path).length}`);
      override batchInit(): never {
        throw new Error('never called');
      }
    }
    const batcher = new Mine({ batchDirectory: path, batchTerminate: () => void calls.push('terminate') });
    await batcher.syncAddItem(1);
    await batcher.close();
    expect(calls).toEqual(['pre', 'flush', 'post 1', 'terminate']);
    expect(filesIn(path)).toEqual([]);
  });

  test.each([
    ['batchDirectory', undefined],
    ['batchDirectory', ''],
    ['durability', 'always'],
    ['integrity', 'crc'],
    ['syncInterval', 0],
    ['maxBytes', -1],
    ['maxAttempts', 1.5],
    ['encode', 'json'],
    ['batchInit', () => undefined],
    ['batchAddItem', () => undefined],
    ['batchAddItems', () => undefined],
    ['nonsense', 1],
  ])('refuses the option %s: %p', (option, value) => {
    const options = { batchDirectory: '/tmp/never-made', batchFlush: () => undefined, [option]: value };
    const making = (): unknown => new FileBatcher(options);
    expect(making).toThrow(OptionsError);
    expect(making).toThrow(option);
  });

  test('stores an item as it was when it was added', async () => {
    const path = directory();
    const { batcher, delivered } = life<{ n: number }>(path);
    const item = { n: 1 };
    batcher.addItem(item);
    item.n = 2;
    await batcher.close();
    expect(delivered()).toEqual([{ n: 1 }]);
  });

  test('makes its directory for this user only, and its files too', async () => {
    const path = join(directory(), 'a', 'b');
    const { batcher } = life(path);
    await batcher.syncAddItem(1);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, filesIn(path)[0]?.name ?? '')).mode & 0o777).toBe(0o600);
    await batcher.close();
  });
});

describe('the format', () => {
  test("integrity none is the seed's, byte for byte", async () => {
    const path = directory();
    await leave<number | null>(path, [1, 2, null, 4], { integrity: 'none' });
    expect(filesIn(path)[0]?.text).toBe('1\n2\nnull\n4\n');
  });

  test('integrity line is still JSON per line; suffix is a tab and eight digits', async () => {
    const path = directory();
    await leave(path, [{ a: 'ü' }], { integrity: 'line' });
    await leave(path, [{ a: 'ü' }], { integrity: 'suffix' });
    const [line, suffix] = filesIn(path);
    expect(JSON.parse(line?.text ?? '')).toEqual({ a: 'ü' });
    expect(Buffer.byteLength(line?.text ?? '')).toBe(10 + 32 + 1);
    expect(suffix?.text).toMatch(/^\{"a":"ü"\}\t[0-9a-f]{8}\n$/);
  });

  test.each(['line', 'suffix', 'none'] as const)('decode sees exactly what encode gave (%s)', async (integrity) => {
    const path = directory();
    const texts = ['x', ' blanks \t ', '\t', 'ünïcödé 🦄', '\0', '\r', 'x'.repeat(300_000)];
    if (integrity !== 'none') texts.push('');
    const { batcher, delivered } = life<string>(path, { integrity, encode: (text) => text, decode: (text) => text });
    for (const text of texts) await batcher.syncAddItem(text);
    await batcher.close();
    expect(delivered()).toEqual(texts);
  });

  test.each(['a\nb', '\n', undefined, 7, '\ud800'])(
    'an encoding that is %p is refused, and only that item',
    async (bad) => {
      const path = directory();
      const { batcher, delivered } = life<unknown>(path, { encode: (item) => item as string, decode: (text) => text });
      await batcher.syncAddItem('a');
      await expect(batcher.syncAddItem(bad)).rejects.toMatchObject({ code: 'ERR_BATCH_ITEM' });
      await batcher.syncAddItem('b');
      await batcher.close();
      expect(delivered()).toEqual(['a', 'b']);
      expectBalanced(batcher);
    },
  );

  test('an empty encoding is refused under integrity none', async () => {
    const { batcher } = life<string>(directory(), { integrity: 'none', encode: (text) => text });
    await expect(batcher.syncAddItem('')).rejects.toMatchObject({ code: 'ERR_BATCH_ITEM' });
    await batcher.close();
  });

  test('both checksums are the CRC-32 of zip', () => {
    const { int } = random(1);
    expect(crc32(viewOf(Buffer.from('123456789')))).toBe(0xcbf43926);
    for (const length of [0, 1, 7, 8, 9, 100, 511, 512, 513, 5000]) {
      const bytes = viewOf(Buffer.from(Array.from({ length }, () => int(256))));
      expect(crc32(bytes)).toBe(tableChecksum(bytes, 0, length, 0));
      expect(crc32(bytes, length >> 1, length, crc32(bytes, 0, length >> 1))).toBe(crc32(bytes));
    }
  });
});

describe('G1 at least once', () => {
  test('what was acknowledged and not delivered is delivered by the next life, with counters that add up', async () => {
    const path = directory();
    await leave(path, numbers(10), { maxBatchSize: 4 });
    const { batcher, delivered } = life(path);
    expect(await batcher.open()).toEqual({ ...CLEAN, files: 3, items: 10 });
    await batcher.flush();
    expect(delivered()).toEqual(numbers(10));
    expectBalanced(batcher);
    await batcher.close();
    expect(filesIn(path)).toEqual([]);
  });

  test('flush() before anything else covers files of an earlier process', async () => {
    const path = directory();
    await leave(path, numbers(10), { maxBatchSize: 4 });
    const { batcher, delivered } = life(path);
    await batcher.flush();
    expect(delivered()).toEqual(numbers(10));
    expect(filesIn(path)).toEqual([]);
    await batcher.close();
    await expect(batcher.flush()).resolves.toBeUndefined();
  });

  test('a failed flush keeps the file, and its retry reads it again', async () => {
    const path = directory();
    const flush = gate<[unknown], undefined>();
    const { batcher } = life(path, { batchFlush: flush, retry: { minDelay: 1, maxDelay: 1 } });
    await batcher.syncAddItem(1);
    const flushed = batcher.flush();
    await until(() => flush.waiting === 1);
    flush.fail(new Error('down'));
    await until(() => flush.waiting === 1);
    expect(filesIn(path)).toHaveLength(1);
    flush.openAll();
    await flushed;
    expect(filesIn(path)).toEqual([]);
    await batcher.close();
  });
});

describe('G2 no fabrication', () => {
  test.each(['line', 'suffix'] as const)(
    'every bit flip, truncation and hole gives items that were added (%s)',
    async (integrity) => {
      const path = directory();
      const items = numbers(6).map((n) => `item ${n}`);
      const whole = new Encoder().encode(
        items.map((item) => ({ text: JSON.stringify(item) })),
        integrity,
      );
      const variants: Buffer[] = [];
      for (let bit = 0; bit < whole.length * 8; bit += 7) {
        const bytes = Buffer.from(whole);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        variants.push(bytes);
      }
      for (let length = 0; length < whole.length; length += 5) variants.push(whole.subarray(0, length));
      for (const [index, bytes] of variants.entries()) {
        writeFileSync(join(path, `${String(index).padStart(15, '0')}-0123456789abcdef-0-${integrity}1.batch`), bytes);
      }
      const { batcher, batches } = life<string>(path);
      await batcher.open();
      await batcher.flush();
      await batcher.close();
      const valid = new Set(items);
      for (const batch of batches) for (const item of batch) expect(valid.has(item)).toBe(true);
      // G10: one damaged byte costs at most two.
      const flips = Math.ceil((whole.length * 8) / 7);
      expect(batches.slice(0, flips).every((batch) => batch.length >= items.length - 2)).toBe(true);
    },
  );
});

describe('G3 written before it is acknowledged', () => {
  test.each(['none', 'batch', 'item'] as const)(
    'process.exit right after syncAddItem loses nothing (%s)',
    async (durability) => {
      const path = directory();
      const program = `
      import { FileBatcher } from 'batch-please/collectors/file';
      async function main() {
        const batcher = new FileBatcher({ batchDirectory: ${JSON.stringify(path)}, durability: '${durability}', batchFlush() {} });
        for (let i = 0; i < 5; i++) await batcher.syncAddItem(i);
        process.kill(process.pid, 'SIGKILL');
      }
      void main();`;
      const options = { cwd: root, encoding: 'utf8' } as const;
      const { signal, stderr } = spawnSync(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', program],
        options,
      );
      expect([signal, stderr.replace(/.*npm.*\n/g, '')]).toEqual(['SIGKILL', '']);
      const { batcher, delivered } = life(path);
      await batcher.open();
      await batcher.close();
      expect(delivered()).toEqual(numbers(5));
    },
  );
});

describe('G4 durability item', () => {
  test('the file is synced before each promise resolves, its name once, and a group shares one sync', async () => {
    const { files, trace } = traced();
    const { batcher } = life(directory(), { durability: 'item' }, files);
    await batcher.open();
    trace.calls = [];
    await Promise.all(numbers(50).map((item) => batcher.syncAddItem(item)));
    expect(trace.calls).toEqual(['create', 'write', 'sync', 'syncDirectory']);
    await batcher.syncAddItem(50);
    expect(trace.calls.slice(4)).toEqual(['write', 'sync']);
    await batcher.close();
  });

  test('a failed sync refuses the group; what was synced stays as it is, and the descriptor is not used again', async () => {
    const path = directory();
    const { files, trace } = traced();
    const { batcher, delivered } = life(path, { durability: 'item' }, files);
    await batcher.syncAddItem(1);
    let faults = 1;
    trace.fault = (call) => {
      if (call === 'sync' && faults-- > 0) throw failure('EIO');
    };
    trace.calls = [];
    await expect(batcher.syncAddItem(2)).rejects.toBeInstanceOf(StorageError);
    expect(trace.calls).toEqual(['write', 'sync', 'open', 'truncate', 'sync', 'syncDirectory']);
    await batcher.syncAddItem(3);
    await batcher.close();
    expect(delivered()).toEqual([1, 3]);
    expectBalanced(batcher);
  });

  test.each([
    ['the file goes', 0, ['sync', 'syncDirectory', 'truncate', 'remove', 'syncDirectory']],
    ['it is cut off', 1, ['sync', 'truncate', 'sync']],
  ])('what close takes back is synced, so that power loss does not bring it back: %s', async (_how, before, calls) => {
    const { files, trace } = traced();
    const clock = new TestClock();
    const { batcher } = life(directory(), { durability: 'item', clock }, files);
    await batcher.open();
    for (const item of numbers(before)) await batcher.syncAddItem(item);
    let goOn: () => void = () => undefined;
    trace.wait = () => {
      trace.wait = () => undefined;
      return new Promise((resolve) => (goOn = resolve));
    };
    const added = watch(batcher.syncAddItem(9));
    await clock.advance(0);
    trace.calls = trace.calls.slice(-1);
    const closed = watch(batcher.close({ timeout: 10, flush: false }));
    await clock.advance(10);
    expect(added.state).toBe('rejected');
    goOn();
    await until(() => closed.state !== 'pending');
    expect(trace.calls).toEqual(calls);
  });

  test('a group that a full disk refuses is taken back on the disk as well, before it is refused', async () => {
    const { files, trace } = traced();
    const { batcher, delivered } = life(directory(), { durability: 'item' }, files);
    await batcher.syncAddItem(1);
    trace.shortWrites = [5];
    let writes = 0;
    trace.fault = (call) => {
      if (call === 'write' && ++writes === 2) throw failure('ENOSPC');
    };
    trace.calls = [];
    await expect(batcher.syncAddItem(2)).rejects.toBeInstanceOf(StorageError);
    expect(trace.calls).toEqual(['write', 'write', 'truncate', 'sync']);
    await batcher.close();
    expect(delivered()).toEqual([1]);
  });

  test.each(['item', 'batch', 'none'] as const)(
    'the parent of a directory that a killed process has made is synced, once per open (%s)',
    async (durability) => {
      const path = join(directory(), 'spool');
      mkdirSync(path);
      const synced: number[] = [];
      const fsync = jest.spyOn(fs, 'fsync').mockImplementation((descriptor: number, done: (e: null) => void) => {
        synced.push(fs.fstatSync(descriptor).ino);
        done(null);
      });
      try {
        const { batcher } = life(path, { durability });
        await batcher.open();
        await batcher.syncAddItem(1);
        await batcher.close();
      } finally {
        fsync.mockRestore();
      }
      const parent = statSync(dirname(path)).ino;
      expect(synced.filter((ino) => ino === parent)).toHaveLength(durability === 'none' ? 0 : 1);
    },
  );
});

describe('G5 durability batch', () => {
  test('the open file is synced once per interval, and only if something was added', async () => {
    const clock = new TestClock();
    const { files, trace } = traced();
    const { batcher } = life(directory(), { clock, syncInterval: 1000 }, files);
    await batcher.syncAddItem(1);
    await batcher.syncAddItem(2);
    const syncs = (): number => trace.calls.filter((call) => call === 'sync').length;
    expect(syncs()).toBe(0);
    await clock.advance(1000);
    await until(() => trace.calls.includes('syncDirectory'));
    expect(syncs()).toBe(1);
    await clock.advance(5000);
    expect(syncs()).toBe(1);
    await batcher.close();
  });

  test('a sealed batch is synced before flush sees it', async () => {
    const { files, trace } = traced();
    const { batcher } = life(directory(), { batchFlush: () => void trace.calls.push('flush') }, files);
    await batcher.syncAddItem(1);
    await batcher.flush();
    const { calls } = trace;
    expect(calls.indexOf('sync')).toBeGreaterThan(calls.indexOf('write'));
    expect(calls.indexOf('sync')).toBeLessThan(calls.indexOf('flush'));
    expect(calls.indexOf('syncDirectory')).toBeLessThan(calls.indexOf('flush'));
    await batcher.close();
  });
});

test('G5 a recovered file is not delivered before its directory is synced, even if that fails at first', async () => {
  const path = directory();
  await leave(path, [1]);
  const { files, trace } = traced();
  const { batcher, delivered } = life(path, { retry: { minDelay: 1, maxDelay: 1 } }, files);
  let faults = 2;
  let deliveredBefore = -1;
  trace.fault = (call) => {
    if (call !== 'syncDirectory' || faults-- <= 0) return;
    deliveredBefore = delivered().length;
    throw failure('EIO');
  };
  await batcher.open();
  await batcher.flush();
  expect([faults, deliveredBefore, delivered()]).toEqual([-1, 0, [1]]);
  await batcher.close();
});

describe('G8 the directory cannot be synced after a delivery', () => {
  /** After each delivery as many syncs of the directory fail as `faults` says. */
  function failing(faults: readonly number[]) {
    const { files, trace } = traced();
    const clock = new TestClock();
    const log: string[] = [];
    const next = [...faults];
    let left = 0;
    const batchFlush = (): void => {
      log.push('delivered');
      left = next.shift() ?? 0;
    };
    trace.fault = (call) => {
      if (call !== 'syncDirectory' || left-- <= 0) return;
      log.push('not synced');
      throw failure('EIO');
    };
    const retry = { minDelay: 1000, maxDelay: 1000, jitter: false };
    const { batcher } = life(directory(), { batchFlush, maxBatchSize: 1, clock, retry, durability: 'item' }, files);
    const add = async (count: number): Promise<void> => {
      batcher.pause();
      for (const item of numbers(count)) await batcher.syncAddItem(item);
      batcher.resume();
    };
    const goesTo = async (length: number): Promise<void> => {
      await until(() => log.length >= length && batcher.state.inFlight.batches === 0);
      await clock.advance(1000);
    };
    return { batcher, log, add, goesTo };
  }

  test('the next batch waits for three more attempts, not for ever: 4 fail => delivered', async () => {
    const { batcher, log, add, goesTo } = failing([4]);
    await add(2);
    for (const attempt of [1, 2, 3]) await goesTo(1 + attempt);
    await until(() => log.length === 6);
    expect(log).toEqual(['delivered', 'not synced', 'not synced', 'not synced', 'not synced', 'delivered']);
    await batcher.close();
  });

  test('a sync that succeeds ends the row, whatever it was for: 3 fail, 1 succeeds, 1 fails => waits', async () => {
    const { batcher, log, add, goesTo } = failing([3, 1]);
    await add(2);
    for (const attempt of [1, 2]) await goesTo(1 + attempt);
    await until(() => log.length === 4 && batcher.state.inFlight.batches === 0);
    await add(1); // its file is new, and so its directory is synced
    await goesTo(4);
    await until(() => log.length >= 6 && batcher.state.inFlight.batches === 0);
    expect(log.slice(4)).toEqual(['delivered', 'not synced']);
    await goesTo(6);
    await until(() => log.length === 7);
    await batcher.close();
  });
});

test('G6 durability none: no sync by us', async () => {
  const { files, trace } = traced();
  const { batcher } = life(directory(), { durability: 'none' }, files);
  for (const item of numbers(20)) await batcher.syncAddItem(item);
  await batcher.close();
  expect(trace.calls.filter((call) => call.startsWith('sync'))).toEqual([]);
});

describe('G7 a rejected add is typed, and poisons nothing', () => {
  test.each([
    ['create', 'EMFILE'],
    ['create', 'ENOSPC'],
    ['write', 'ENOSPC'],
    ['write', 'EIO'],
  ])('%s fails with %s', async (where, code) => {
    const path = directory();
    const { files, trace } = traced();
    const { batcher, delivered } = life(path, {}, files);
    await batcher.open();
    trace.fault = (call) => {
      if (call === where) throw failure(code);
    };
    await expect(batcher.syncAddItem(1)).rejects.toBeInstanceOf(StorageError);
    await expect(batcher.syncAddItem(2)).rejects.toMatchObject({ code: 'ERR_BATCH_STORAGE' });
    expect(filesIn(path)).toEqual([]);
    trace.fault = () => undefined;
    await batcher.syncAddItem(3);
    await batcher.close();
    expect(delivered()).toEqual([3]);
    expectBalanced(batcher);
  });

  test('a short write goes on; one that then fails is cut off again', async () => {
    const path = directory();
    const { files, trace } = traced();
    const { batcher, delivered } = life(path, {}, files);
    await batcher.syncAddItem(1);
    trace.shortWrites = [3, 4];
    await batcher.syncAddItem(2);
    const before = filesIn(path)[0]?.text;
    trace.shortWrites = [5];
    let writes = 0;
    trace.fault = (call) => {
      if (call === 'write' && ++writes === 2) throw failure('ENOSPC');
    };
    await expect(batcher.syncAddItem(3)).rejects.toBeInstanceOf(StorageError);
    expect(filesIn(path)[0]?.text).toBe(before);
    await batcher.syncAddItem(4);
    await batcher.close();
    expect(delivered()).toEqual([1, 2, 4]);
  });

  test('if not even that works, it is cut off before the next write', async () => {
    const path = directory();
    const { files, trace } = traced();
    const { batcher, delivered } = life(path, {}, files);
    await batcher.syncAddItem(1);
    trace.shortWrites = [5];
    let writes = 0;
    trace.fault = (call) => {
      if (call === 'truncate' || (call === 'write' && ++writes === 2)) throw failure('EIO');
    };
    await expect(batcher.syncAddItem(2)).rejects.toBeInstanceOf(StorageError);
    trace.fault = () => undefined;
    await batcher.syncAddItem(3);
    await batcher.close();
    expect(delivered()).toEqual([1, 3]);
  });

  test('the directory is deleted underneath: what was acknowledged is rescued', async () => {
    const path = directory();
    const { batcher, delivered } = life(path);
    const rescued: unknown[] = [];
    batcher.on('rescued', (event) => rescued.push(event));
    await batcher.syncAddItem(1);
    rmSync(path, { recursive: true });
    await batcher.syncAddItem(2);
    await batcher.flush();
    expect(delivered()).toEqual([1, 2]);
    expect(rescued).toMatchObject([{ size: 1 }]);
    await batcher.syncAddItem(3);
    await batcher.close();
    expect(delivered()).toEqual([1, 2, 3]);
  });

  test.each([
    ['40 of 41', 1],
    ['all 40', 0],
  ])('what a failed sync takes along beyond 32 MiB is lost: size and counters say so (%s)', async (_how, kept) => {
    const path = directory();
    const { files, trace } = traced();
    const clock = new TestClock();
    const { batcher, batches } = life<string>(path, { clock, retry: false }, files);
    const lost: number[] = [];
    batcher.on('lost', ({ items }) => lost.push(items));
    const item = 'x'.repeat(2 ** 20);
    let synced = 0;
    trace.wait = (call) => {
      if (call === 'syncDirectory') synced++;
      return undefined;
    };
    for (let count = 0; count < kept; count++) await batcher.syncAddItem(item);
    await clock.advance(1000);
    await until(() => synced >= kept);
    const [{ name, text } = { name: '', text: '' }] = filesIn(path);
    let fail: (error: Error) => void = () => undefined;
    trace.wait = (call) => (call === 'sync' ? new Promise((_resolve, reject) => (fail = reject)) : undefined);
    for (let count = 0; count < 40; count++) await batcher.syncAddItem(item);
    const file = name === '' ? (filesIn(path)[0]?.name ?? '') : name;
    // As Linux does it: what could not be written is marked clean, and is read from the disk again.
    writeFileSync(join(path, file), Buffer.concat([Buffer.from(text), Buffer.alloc(40 * (item.length + 35))]));
    trace.wait = () => undefined;
    fail(failure('EIO'));
    await batcher.flush().catch(() => undefined);
    const { spool } = batcher.state;
    expect(batches.map((items) => items.length)).toEqual([kept]);
    // The beginning of a line that a block of zeros has cut short is kept in quarantine/.
    expect(lost).toEqual([40 - spool.quarantined]);
    expect(spool).toMatchObject({ added: kept + 40, delivered: kept, lost: lost[0], pending: 0 });
    expect(spool.quarantined).toBeLessThanOrEqual(1);
    expect(filesIn(path)).toEqual([]);
    await batcher.close();
  });

  test('a file that was removed before it was delivered is reported as lost, and blocks nothing', async () => {
    const path = directory();
    await leave(path, [1]);
    const down = gate<[unknown], undefined>();
    const { batcher } = life(path, { batchFlush: down, retry: { minDelay: 1, maxDelay: 1 } });
    const lost: unknown[] = [];
    batcher.on('lost', (event) => lost.push(event));
    await batcher.open();
    await until(() => down.waiting === 1);
    for (const { name } of filesIn(path)) rmSync(join(path, name));
    down.fail(new Error('down'));
    down.openAll();
    await expect(batcher.flush()).rejects.toMatchObject({ code: 'ERR_BATCH_FLUSH' });
    expect(lost).toMatchObject([{ items: 1 }]);
    await batcher.syncAddItem(2);
    await batcher.close();
    expectBalanced(batcher);
  });
});

test('G8 the id is stable across attempts and restarts', async () => {
  const path = directory();
  const ids: string[] = [];
  const options = {
    retry: { attempts: 2, minDelay: 1, maxDelay: 1 },
    batchFlush: (batch: { id: string }, context: { id: string; attempt: number }) => {
      expect(context.id).toBe(batch.id);
      ids.push(`${context.attempt} ${context.id}`);
      throw new Error('down');
    },
  };
  const first = life(path, options);
  await first.batcher.syncAddItem(1);
  await expect(first.batcher.flush()).rejects.toMatchObject({ code: 'ERR_BATCH_FLUSH' });
  await first.batcher.close({ flush: false });
  const second = life(path, options);
  await second.batcher.open();
  await until(() => ids.length === 3);
  await second.batcher.close({ flush: false });
  const id = ids[0]?.slice(2) ?? '';
  expect(ids).toEqual([`1 ${id}`, `2 ${id}`, `3 ${id}`]);
});

describe('G9 open succeeds on any directory content', () => {
  test('bad bytes are copied to quarantine, good lines delivered, a torn tail is cut off', async () => {
    const path = directory();
    await leave(path, [1, 2, 3]);
    const [file] = filesIn(path);
    const whole = join(path, file?.name ?? '');
    appendFileSync(whole, 'rubbish\n4   \t');
    const { batcher, delivered } = life(path);
    const report = await batcher.open();
    expect(report).toEqual({ ...CLEAN, files: 1, items: 3, tornLines: 1, badLines: 1, quarantinedFiles: 1 });
    await batcher.close();
    expect(delivered()).toEqual([1, 2, 3]);
    const quarantined = readdirSync(join(path, 'quarantine'));
    expect(quarantined).toHaveLength(1);
    expect(readFileSync(join(path, 'quarantine', quarantined[0] ?? ''), 'utf8')).toBe('rubbish\n4   \t');
    expectBalanced(batcher);
  });

  test("the seed's files are read as integrity none, and what decode rejects is quarantined", async () => {
    const path = directory();
    writeFileSync(join(path, '1700000000000_4435846174457203.batch'), '1\n2\n\nnull\nnonsense\n');
    const { batcher, delivered } = life<number | null>(path);
    expect(await batcher.open()).toMatchObject({ files: 1, items: 3, badLines: 1 });
    await batcher.close();
    expect(delivered()).toEqual([1, 2, null]);
  });

  test('links, folders, pipes and files that cannot be read stay', async () => {
    const path = directory();
    await leave(path, [1]);
    const outside = join(directory(), 'outside');
    writeFileSync(outside, '9\n');
    symlinkSync(outside, join(path, 'link.batch'));
    mkdirSync(join(path, 'folder.batch'));
    spawnSync('mkfifo', [join(path, 'pipe.batch')]);
    writeFileSync(join(path, 'notes.txt'), 'mine');
    const { batcher, delivered } = life(path);
    expect((await batcher.open()).unreadableFiles).toBeGreaterThanOrEqual(2);
    await batcher.close();
    expect(delivered()).toEqual([1]);
    expect(readdirSync(path)).toEqual(expect.arrayContaining(['link.batch', 'folder.batch', 'notes.txt']));
    expect(readFileSync(outside, 'utf8')).toBe('9\n');
  });

  test('200 directories of random content', async () => {
    const dice = random(9);
    const names = [
      'lock.000000000007',
      'x.batch',
      '1-2.batch',
      'dead',
      'quarantine',
      'a.batch.tmp',
      '..batch',
      'lock.1',
    ];
    for (let round = 0; round < 200; round++) {
      const path = directory();
      for (let entry = dice.int(6); entry > 0; entry--) {
        const ours = `${String(dice.int(9)).padStart(15, '0')}-0123456789abcdef-${dice.int(3)}-${dice.pick(['line', 'suffix', 'none'])}1.batch`;
        const target = join(path, dice.chance(0.5) ? ours : dice.pick(names));
        if (existsSync(target)) continue;
        if (dice.chance(0.2)) mkdirSync(target);
        else
          writeFileSync(
            target,
            Buffer.from(Array.from({ length: dice.int(200) }, () => dice.pick([10, 32, 49, dice.int(256)]))),
          );
      }
      const { batcher } = life<unknown>(path, { decode: (text) => text });
      await batcher.open();
      await batcher.close();
      expectBalanced(batcher);
    }
  });

  test('a directory that cannot be used is a StorageError, and open may be called again', async () => {
    const path = join(directory(), 'file');
    writeFileSync(path, '');
    const { batcher } = life(path);
    await expect(batcher.open()).rejects.toBeInstanceOf(StorageError);
    await expect(batcher.syncAddItem(1)).rejects.toBeInstanceOf(StorageError);
    rmSync(path);
    await batcher.syncAddItem(2);
    await batcher.close();
    expectBalanced(batcher);
  });
});

test('G10 a hole of 512 bytes costs only the lines it touches', async () => {
  const path = directory();
  const items = numbers(100).map((n) => 'x'.repeat(100) + String(n));
  await leave(path, items);
  const name = join(path, filesIn(path)[0]?.name ?? '');
  const bytes = readFileSync(name);
  bytes.fill(0, 1024, 1536);
  writeFileSync(name, bytes);
  const { batcher, delivered } = life<string>(path);
  await batcher.open();
  await batcher.close();
  expect(delivered().length).toBeGreaterThanOrEqual(100 - Math.ceil(512 / 137) - 1);
  expect(items).toEqual(expect.arrayContaining(delivered()));
});

describe('G11 one live owner per directory', () => {
  test('a second one is refused while the first lives, and gets the directory after it', async () => {
    const path = directory();
    const first = life(path);
    const second = life(path);
    await first.batcher.syncAddItem(1);
    await expect(second.batcher.open()).rejects.toBeInstanceOf(LockedError);
    await expect(second.batcher.flush()).rejects.toBeInstanceOf(LockedError);
    await expect(second.batcher.syncAddItem(2)).rejects.toMatchObject({ code: 'ERR_BATCH_LOCKED' });
    await first.batcher.close();
    await second.batcher.syncAddItem(3);
    await second.batcher.close();
    expect(second.delivered()).toEqual([3]);
  });

  test('paths beyond what a socket address can hold work too', async () => {
    const path = join(directory(), 'd'.repeat(100), 'e'.repeat(100));
    const first = life(path);
    await first.batcher.open();
    await expect(life(path).batcher.open()).rejects.toBeInstanceOf(LockedError);
    await first.batcher.close();
    const second = life(path);
    await second.batcher.open();
    await second.batcher.close();
  });

  test('of many that start at once exactly one wins', async () => {
    const path = directory();
    const contenders = numbers(10).map(() => life(path).batcher);
    const results = await Promise.allSettled(contenders.map((batcher) => batcher.open()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await Promise.all(contenders.map((batcher) => batcher.close()));
  });
});

describe('G12 maxBytes', () => {
  const line = 8 + 2 + 33; // ten bytes of JSON

  function full(overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest') {
    const path = directory();
    const flush = gate<[unknown], undefined>();
    const { batcher } = life<string>(path, { maxBytes: 3 * line, maxBatchSize: 1, overflow, batchFlush: flush });
    return { path, flush, batcher, used: () => filesIn(path).reduce((sum, { text }) => sum + text.length, 0) };
  }

  test('reject: an add beyond it gets an OverflowError, and there is room again after a delivery', async () => {
    const { batcher, flush, used } = full('reject');
    for (let i = 0; i < 3; i++) await batcher.syncAddItem('12345678');
    await expect(batcher.syncAddItem('12345678')).rejects.toBeInstanceOf(OverflowError);
    expect(batcher.addItem('12345678')).toBe(false);
    expect(used()).toBe(3 * line);
    await until(() => flush.waiting === 1);
    flush.open();
    await until(() => used() < 3 * line);
    await batcher.syncAddItem('12345678');
    flush.openAll();
    await batcher.close();
    expectBalanced(batcher);
  });

  test('wait: syncAddItem waits for room', async () => {
    const { batcher, flush, used } = full('wait');
    for (let i = 0; i < 3; i++) await batcher.syncAddItem('12345678');
    const waiting = watch(batcher.syncAddItem('12345678'));
    await until(() => flush.waiting === 1);
    expect([waiting.state, used()]).toEqual(['pending', 3 * line]);
    flush.open();
    await until(() => waiting.state === 'resolved');
    expect(used()).toBeLessThanOrEqual(3 * line);
    flush.openAll();
    await batcher.close();
  });

  test('dropOldest and dropNewest are counted', async () => {
    const oldest = full('dropOldest');
    for (const item of ['a1234567', 'b1234567', 'c1234567', 'd1234567']) await oldest.batcher.syncAddItem(item);
    expect(oldest.used()).toBe(3 * line);
    expect(oldest.batcher.state.counts.dropped).toBe(1);
    const newest = full('dropNewest');
    for (let i = 0; i < 3; i++) await newest.batcher.syncAddItem('12345678');
    await expect(newest.batcher.syncAddItem('12345678')).rejects.toBeInstanceOf(OverflowError);
    expect(newest.batcher.state.counts.dropped).toBe(1);
    for (const { batcher, flush } of [oldest, newest]) {
      flush.openAll();
      await batcher.close();
      expectBalanced(batcher);
    }
  });

  test('files of earlier processes count, and the first add waits for room beside it', async () => {
    const path = directory();
    await leave(path, ['12345678', '12345678', '12345678'], { maxBatchSize: 1 });
    const flush = gate<[unknown], undefined>();
    const { batcher } = life<string>(path, { maxBytes: 3 * line, maxBatchSize: 1, batchFlush: flush });
    const waiting = watch(batcher.syncAddItem('12345678'));
    await until(() => flush.waiting === 1);
    expect(waiting.state).toBe('pending');
    flush.openAll();
    await until(() => waiting.state === 'resolved');
    await batcher.close();
  });

  test('so it does for what is added to the same file later, while the directory is still being read', async () => {
    const path = directory();
    await leave(path, ['12345678', '12345678'], { maxBatchSize: 1 });
    const flush = gate<[unknown], undefined>();
    const { batcher } = life<string>(path, { maxBytes: 3 * line, batchFlush: flush });
    const first = watch(batcher.syncAddItem('12345678'));
    await Promise.resolve(); // the first is a group of its own
    const second = watch(batcher.syncAddItem('12345678'));
    await until(() => flush.waiting === 1 && first.state === 'resolved');
    expect(second.state).toBe('pending');
    expect(batcher.state.spool.bytes).toBe(3 * line);
    flush.openAll();
    await until(() => second.state === 'resolved');
    await batcher.close();
  });

  test('beside what is in dead/ an early add that can never fit is refused, and waits for nothing', async () => {
    const path = directory();
    mkdirSync(join(path, 'dead'));
    writeFileSync(join(path, 'dead', '1.batch'), 'x'.repeat(3 * line));
    const { batcher } = life<string>(path, { maxBytes: 3 * line });
    await expect(batcher.syncAddItem('12345678')).rejects.toBeInstanceOf(OverflowError);
    await batcher.close();
  });

  test('an item larger than all of it is refused at once', async () => {
    const { batcher } = full('wait');
    await expect(batcher.syncAddItem('x'.repeat(1000))).rejects.toBeInstanceOf(OverflowError);
    await batcher.close();
  });
});

test('G13 files oldest first, recovered before new ones, the seed’s before ours', async () => {
  const path = directory();
  await leave(path, [1, 2, 3, 4], { maxBatchSize: 2 });
  writeFileSync(join(path, '1600000000000_1.batch'), '0\n');
  const { batcher, batches } = life(path, { maxBatchSize: 2 });
  for (const item of [5, 6, 7]) await batcher.syncAddItem(item);
  await batcher.close();
  expect(batches).toEqual([[0], [1, 2], [3, 4], [5, 6], [7]]);
});

describe('G14 attempts survive restarts', () => {
  test('1 attempt per life, after 3 the file is in dead/, untouched', async () => {
    const path = directory();
    const options = {
      maxAttempts: 3,
      retry: false as const,
      batchFlush: () => {
        throw new Error('down');
      },
    };
    await leave(path, [1, 2]);
    const text = filesIn(path)[0]?.text;
    const dead: unknown[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const { batcher } = life(path, options);
      batcher.on('dead', (event) => dead.push(event));
      await batcher.open();
      await batcher.flush().catch(() => undefined);
      await batcher.close({ flush: false });
      if (attempt === 3) {
        expect(batcher.state.spool).toMatchObject({ added: 2, dead: 2, dropped: 0, pending: 0 });
      }
      expectBalanced(batcher);
      if (dead.length > 0) break;
    }
    expect(dead).toMatchObject([{ size: 2 }]);
    expect(filesIn(path)).toEqual([]);
    expect(filesIn(join(path, 'dead')).map((file) => file.text)).toEqual([text]);
  });

  test('a crash in the last attempt counts as well', async () => {
    const path = directory();
    await leave(path, [1]);
    const [file] = filesIn(path);
    renameSync(join(path, file?.name ?? ''), join(path, file?.name.replace('-0-line', '-3-line') ?? ''));
    const { batcher, delivered } = life(path, { maxAttempts: 3 });
    await batcher.open();
    await batcher.close();
    expect(delivered()).toEqual([]);
    expect(filesIn(join(path, 'dead'))).toHaveLength(1);
    expectBalanced(batcher);
  });
});

test('G15 adds go on while the sink is down, and everything is delivered in order when it returns', async () => {
  const path = directory();
  const flush = gate<[unknown], undefined>();
  const { batcher } = life(path, { maxBatchSize: 10, batchFlush: flush });
  for (const item of numbers(1000)) await batcher.syncAddItem(item);
  expect(filesIn(path)).toHaveLength(100);
  await until(() => flush.calls.length === 1);
  flush.openAll();
  await batcher.close();
  expect(flush.calls).toHaveLength(100);
  expectBalanced(batcher);
});

test('a line that decode rejects is quarantined once, whatever the attempts, and blocks nothing', async () => {
  const path = directory();
  let attempts = 0;
  const seen: number[] = [];
  const batcher = new FileBatcher<number>({
    batchDirectory: path,
    decode: (text) => {
      if (text === '2') throw new Error('no');
      return Number(text);
    },
    retry: { minDelay: 1, maxDelay: 1 },
    batchFlush: async (batch) => {
      for await (const item of batch.items()) seen.push(item);
      if (++attempts < 3) throw new Error('down');
    },
  });
  const quarantined: unknown[] = [];
  batcher.on('quarantined', (event) => quarantined.push(event));
  batcher.on('failed', () => undefined);
  for (const item of [1, 2, 3]) await batcher.syncAddItem(item);
  await batcher.flush();
  expect(seen).toEqual([1, 3, 1, 3, 1, 3]);
  expect(quarantined).toMatchObject([{ lines: 1 }]);
  expect(batcher.state.spool).toMatchObject({ added: 3, delivered: 2, quarantined: 1, pending: 0 });
  expect(inspect(batcher.state)).toMatch(/spool: \{[^}]*quarantined: 1,/);
  await batcher.close();
});

/** Waits for what comes by itself, from threads too. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
