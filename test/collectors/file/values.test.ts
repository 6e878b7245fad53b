// The values that a user sees: fields of batches and events, and the bytes on disk. On the real file system.
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { FileBatch } from '../../../collectors/file-batcher.js';
import { directory, filesIn, leave, life, removeDirectories, traced } from '../../support/spool.js';

afterEach(removeDirectories);

async function itemsOf<Item>(batch: FileBatch<Item> | undefined): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of batch?.items() ?? []) items.push(item);
  return items;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/** Bytes of the files in a directory, and in its folders. */
function used(path: string): number {
  const names = fs.readdirSync(path, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => /\.(batch|bad)$/.test(name)).map((name) => fs.lstatSync(join(path, name)));
  return files.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
}

test('the file of a cleared batch has the name that the batch says, also while its folder is being synced', async () => {
  const path = directory();
  const { files, trace } = traced();
  const { batcher } = life(path, { durability: 'none' }, files);
  await batcher.syncAddItem(1);
  let synced = (): void => undefined;
  const sync = new Promise<void>((resolve) => (synced = resolve));
  trace.wait = (call) => (call === 'syncDirectory' ? sync : undefined);
  const [batch] = batcher.clear();
  await until(() => trace.calls.includes('rename'));
  const items = await itemsOf(batch).catch((error: unknown) => error);
  synced();
  expect(items).toEqual([1]);
  await batcher.close();
  expect(batcher.state.spool.bytes).toBe(used(path));
});

test('a returned file that its owner removes before it was moved takes no room any more, and is not unreadable', async () => {
  const path = directory();
  await leave(path, [1]);
  const { batcher } = life(path, { maxBytes: 100 });
  batcher.pause();
  await batcher.open();
  const unreadable: unknown[] = [];
  batcher.on('unreadable', (event) => unreadable.push(event));
  const [batch] = batcher.clear();
  fs.rmSync(batch?.filename ?? '');
  await batcher.close();
  expect([batcher.state.spool.bytes, batcher.state.spool.returned, unreadable]).toEqual([0, 1, []]);
});

test('a batch that open() cannot move to dead/ is not counted as dead, and its bytes are counted once', async () => {
  const path = directory();
  await leave(path, [1, 2, 3], { maxBatchSize: 2 });
  for (const { name } of filesIn(path)) fs.renameSync(join(path, name), join(path, name.replace('-0-', '-1-')));
  fs.writeFileSync(join(path, 'dead'), ''); // a file where the folder should be
  const { batcher } = life(path, { maxAttempts: 1 });
  const report = await batcher.open();
  expect(report).toMatchObject({ files: 0, items: 0, unreadableFiles: 2 });
  expect(batcher.state.spool).toMatchObject({ added: 0, dead: 0, bytes: used(path) });
  await batcher.close();
});

test("another program's file that is moved out of the way of an open file is counted in bytes", async () => {
  const path = directory();
  const { batcher } = life(path);
  await batcher.syncAddItem(1);
  fs.writeFileSync(join(path, 'other'), 'of another program\n');
  fs.renameSync(join(path, 'other'), join(path, filesIn(path)[0]?.name ?? ''));
  await batcher.flush();
  expect(fs.readdirSync(join(path, 'quarantine'))).toHaveLength(1);
  expect(batcher.state.spool).toMatchObject({ delivered: 1, bytes: used(path) });
  await batcher.close();
});

test('G21: a name like ours with a longer number is that of a newer version, and is left alone', async () => {
  const path = directory();
  const name = '000001763719000123-9f3a1c2b7d4e5f60-0-suffix1.batch';
  fs.writeFileSync(join(path, name), '1\t778bf23d\n');
  const { batcher, delivered } = life(path);
  expect(await batcher.open()).toMatchObject({ files: 0, badLines: 0, unreadableFiles: 1 });
  await batcher.close();
  expect([delivered(), filesIn(path)]).toEqual([[], [{ name, text: '1\t778bf23d\n' }]]);
});

test('open() reports the files that are delivered, and not those that it moves to dead/', async () => {
  const path = directory();
  await leave(path, [1, 2, 3], { maxBatchSize: 2 });
  const [first] = filesIn(path);
  fs.renameSync(join(path, first?.name ?? ''), join(path, (first?.name ?? '').replace('-0-', '-1-')));
  const { batcher, delivered } = life(path, { maxAttempts: 1 });
  expect(await batcher.open()).toMatchObject({ files: 1, items: 1 });
  await batcher.close();
  expect([delivered(), batcher.state.spool.dead]).toEqual([[3], 2]);
});

test('bytes include dead/ also where open() finds a file that it leaves alone', async () => {
  const path = directory();
  fs.mkdirSync(join(path, 'dead'));
  fs.writeFileSync(join(path, 'dead', 'old.batch'), '1\n2\n');
  fs.writeFileSync(join(path, 'a name.batch'), '3\n');
  const { batcher } = life(path);
  expect(await batcher.open()).toMatchObject({ unreadableFiles: 1 });
  expect(batcher.state.spool.bytes).toBe(used(path));
  await batcher.close();
});
