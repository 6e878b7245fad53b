import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LargeFiles } from '../../../cli/pipe/large-files.js';

const spool = mkdtempSync(join(tmpdir(), 'large-'));
afterAll(() => rmSync(spool, { recursive: true }));

test('a large record stays until the file of its batch is removed: a process that is killed before delivers it again', async () => {
  const large = new LargeFiles(spool);
  await large.makeFolder();
  const names = [large.write([Buffer.from('a'), Buffer.from('b')]), large.write([Buffer.from('c')])];
  expect(names.map((name) => large.read(name).toString())).toEqual(['ab', 'c']);
  const batch = join(spool, 'one.batch');
  writeFileSync(batch, 'names them');
  large.delivered(batch, names);
  large.sweep();
  expect(readdirSync(join(spool, 'large')).sort()).toEqual([...names].sort());
  rmSync(batch);
  large.delivered(join(spool, 'next.batch'), []);
  expect(readdirSync(join(spool, 'large'))).toEqual([]);
});

test('what could not be written whole leaves nothing', () => {
  const large = new LargeFiles(spool);
  const broken = { length: 1 } as Buffer; // writeSync throws
  expect(() => large.write([Buffer.from('a'), broken])).toThrow('buffer');
  expect(existsSync(join(spool, 'large'))).toBe(true);
  expect(readdirSync(join(spool, 'large'))).toEqual([]);
});

test('a record that cannot be removed is no failure of its batch, which is delivered already', async () => {
  const large = new LargeFiles(spool);
  await large.makeFolder();
  const name = '01234567-0123-0123-0123-0123456789ab';
  mkdirSync(join(spool, 'large', name)); // not even root can remove a directory as a file
  large.delivered(join(spool, 'removed.batch'), [name]);
  expect(() => large.sweep()).not.toThrow();
  expect(() => large.removeOrphans()).not.toThrow();
  expect(readdirSync(join(spool, 'large'))).toEqual([name]);
});
