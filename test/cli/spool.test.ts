import { appendFileSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { spool } from '../../cli/spool.js';
import { type Outcome, root, run } from '../support/project.js';
import { directory, filesIn, leave, life, removeDirectories } from '../support/spool.js';

afterEach(() => {
  jest.restoreAllMocks();
  removeDirectories();
});

/** Runs the command in this process: its exit code, and what it printed. */
async function command(...args: string[]): Promise<Outcome> {
  const printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    jest.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += String(text);
      return true;
    });
  }
  const code = await spool(args);
  jest.restoreAllMocks();
  return { code, ...printed };
}

/** Names, sizes and times of change of everything in a directory. */
function snapshot(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs, ctimeMs } = statSync(join(path, name));
      return `${name} ${size} ${mtimeMs} ${ctimeMs}`;
    });
}

/** Appends to the only file. */
function damage(path: string, bytes: string): void {
  appendFileSync(join(path, filesIn(path)[0]?.name ?? ''), bytes);
}

test('verify says what is there, and ends with 0 if it is intact', async () => {
  const path = directory();
  await leave(path, [1, 2, 3]);
  const before = snapshot(path);
  const { code, stdout } = await command('spool', 'verify', path);
  expect(stdout).toMatch(/^\S+-0-line1\.batch {2}3 items, 102 bytes, intact\n1 files, 3 items, 0 damaged\n$/);
  expect(code).toBe(0);
  expect(snapshot(path)).toEqual(before);
});

test('verify names the damage, and ends with 1', async () => {
  const path = directory();
  await leave(path, [1, 2, 3]);
  damage(path, 'rubbish\n4 ');
  const before = snapshot(path);
  const { code, stdout } = await command('spool', 'verify', path);
  expect(stdout).toContain('3 items, 112 bytes, 1 damaged lines, 1 line cut short');
  expect(code).toBe(1);
  expect(snapshot(path)).toEqual(before);
});

test('cat prints the good items without their checksums, oldest first', async () => {
  const path = directory();
  await leave(path, [{ a: 1 }, 'zwei', null], { maxBatchSize: 2 });
  expect(await command('spool', 'cat', path)).toEqual({ code: 0, stdout: '{"a":1}\n"zwei"\nnull\n', stderr: '' });
});

test('salvage takes what is in dead/ and quarantine/ too, into a new file, and changes nothing', async () => {
  const path = directory();
  await leave(path, [1, 2]);
  damage(path, 'rubbish\n');
  mkdirSync(join(path, 'dead'));
  const [file] = filesIn(path);
  renameSync(join(path, file?.name ?? ''), join(path, 'dead', file?.name ?? ''));
  await leave(path, [3]);
  const before = snapshot(path);
  const output = join(directory(), 'items.ndjson');
  const { code, stderr } = await command('spool', 'salvage', path, '--output', output);
  expect(readFileSync(output, 'utf8')).toBe('3\n1\n2\n');
  expect(stderr).toContain('1 damaged lines');
  expect(code).toBe(1);
  expect(snapshot(path)).toEqual(before);
  expect((await command('spool', 'salvage', path, '--output', output)).code).toBe(2); // never overwrites
});

test.each(['cat', 'salvage'])(
  '%s ends with 3 where its output cannot be made, and does not blame the call',
  async (name) => {
    const path = directory();
    await leave(path, [1, 2]);
    const { code, stderr } = await command('spool', name, path, '--output', join(path, 'missing', 'items'));
    expect(stderr).toMatch(/^the output could not be written: .*ENOENT/);
    expect(stderr).not.toContain('Usage');
    expect(code).toBe(3);
  },
);

test('a directory that a live process owns is only read, and a line that is being written is no damage', async () => {
  const path = directory();
  const { batcher } = life(path);
  await batcher.syncAddItem(1);
  damage(path, '2 ');
  const { code, stdout } = await command('spool', 'verify', path);
  expect(stdout).toContain('a live process owns the directory');
  expect(code).toBe(0);
  await batcher.syncAddItem(2);
  await batcher.close();
});

test.each([
  [[]],
  [['spool']],
  [['spool', 'verify']],
  [['spool', 'verify', '/no/such/directory']],
  [['spool', 'eat', '/tmp']],
  [['spool', 'verify', '/tmp', '--nonsense']],
  [['nonsense']],
])('%p ends with 2 and says how it is used', async (args) => {
  const { code, stderr, stdout } = await command(...args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('Usage: batch-please spool');
});

test('the program itself', async () => {
  const path = directory();
  await leave(path, [1, 2]);
  const main = ['--import', 'tsx', 'cli/main.ts'];
  expect(await run(process.execPath, [...main, 'spool', 'cat', path], root)).toMatchObject({
    code: 0,
    stdout: '1\n2\n',
  });
  expect(await run(process.execPath, [...main, '--help'], root)).toMatchObject({ code: 0, stderr: '' });
  expect(await run(process.execPath, main, root)).toMatchObject({ code: 2, stdout: '' });
});
