import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StoppedError } from 'batch-please';
import { LogWriter } from '../../examples/log-writer/log-writer.js';
import { root, run } from '../support/project.js';

const folder = mkdtempSync(join(tmpdir(), 'log-writer-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('acknowledges each line with its offset, after the sync; 500 writers share few syncs', async () => {
  const path = join(folder, 'a.log');
  const log = await LogWriter.start(path);
  const offsets = await Promise.all(Array.from({ length: 500 }, (_, i) => log.call(`line ${i} ü`)));
  const written = readFileSync(path);
  offsets.forEach((offset, i) => {
    const line = `line ${i} ü\n`;
    expect(written.subarray(offset, offset + Buffer.byteLength(line)).toString()).toBe(line);
  });
  const { batches, sizes } = log.sys.statistics();
  expect(batches).toBeLessThan(10); // 32 + 64 + 128 + 256 + 20
  expect(sizes.max).toBe(256);
  expect(log.sys.getStatus().state).toEqual({ size: written.length });
  await log.close();
});

test('goes on where the file ends', async () => {
  const path = join(folder, 'b.log');
  for (const expected of [0, 4]) {
    await using log = await LogWriter.start(path);
    expect(await log.call('abc')).toBe(expected);
  }
});

test('a disk that fails stops it, and every caller hears why', async () => {
  const log = await LogWriter.start(join(folder, 'c.log'));
  log.on('stopped', () => undefined);
  await log.sys.getState().file.close();
  await expect(log.call('x')).rejects.toMatchObject({ code: 'ERR_BATCH_STOPPED', cause: { code: 'EBADF' } });
  await expect(log.call('y')).rejects.toBeInstanceOf(StoppedError);
});

test('the program runs, and says how many lines shared a sync', async () => {
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  const main = join(root, 'examples', 'log-writer', 'main.ts');
  const args = [tsx, main, join(folder, 'd.log'), '--writers', '100', '--lines', '5'];
  const { code, stdout, stderr } = await run(process.execPath, args, root, 240_000);
  expect([code, stderr.replace(/npm warn.*\n/g, '')]).toEqual([0, '']);
  expect(stdout).toMatch(
    /^500 durable lines in [\d.]+ s: \d+ a second\n\d+ syncs of [\d.]+ ms; lines per sync: median/,
  );
}, 300_000);
