import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { random, type Random } from 'batch-please/testing';
import { FileBatcher } from '../../../../collectors/file-batcher.js';
import { fileName } from '../../../../collectors/file/format.js';
import { noOtherOwners, noPipes, testUnless } from '../../../support/skips.js';
import { lineOf } from './damage.js';

const missingPipes = noPipes();

let root: string;
let pipe: string | undefined;
let outside: string;

const hex = (source: Random): string => Array.from({ length: 16 }, () => source.int(16).toString(16)).join('');

function nameFor(source: Random): string {
  const ours = fileName({
    sequence: source.int(1000),
    nonce: hex(source),
    attempts: source.int(3),
    integrity: source.pick(['line', 'suffix', 'none']),
  });
  return source.pick([
    ours,
    ours,
    ours,
    `${source.int(100)}.batch`,
    `${hex(source)}.batch`,
    `${ours}.tmp`,
    ours.replace('1.batch', '2.batch'),
    ours.replace('.batch', '.BATCH'),
    ours.slice(1),
    `${ours} `,
    `.${ours}`,
    'quarantine',
    'dead',
    'lock.000000000001',
    `lock.${String(source.int(1000)).padStart(12, '0')}`,
    'lock.999999999998',
    `lock.${hex(source)}.new`,
    '-rf.batch',
    '..batch',
    'näme.batch',
    'a b.batch',
    '\u001b[31m.batch',
    'x'.repeat(190) + '.batch',
    '__proto__.batch',
    'README',
  ]);
}

function contentFor(source: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = source.int(5); count > 0; count--) {
    const junk = Buffer.from(Array.from({ length: source.int(40) }, () => source.int(256)));
    parts.push(
      source.pick([
        junk,
        Buffer.concat([junk, Buffer.from('\n')]),
        Buffer.from('\n\n'),
        Buffer.alloc(source.int(2000)),
        Buffer.from('{"__proto__":{"polluted":1}}\n'),
        Buffer.from(lineOf('{"__proto__":{"polluted":1}}', 'line')),
        Buffer.from(lineOf('not JSON', 'line')),
        Buffer.from('1\n2\nnull\n'),
        Buffer.from('\ufeff1\r\n'),
        Buffer.alloc(300_000, 'x'),
      ]),
    );
  }
  return Buffer.concat(parts);
}

function populate(directory: string, source: Random): string[] {
  const good: string[] = [];
  for (let count = source.int(8); count > 0; count--) {
    const path = join(directory, nameFor(source));
    try {
      const kind = source.int(10);
      if (kind === 0) fs.mkdirSync(path);
      else if (kind === 1) fs.symlinkSync(join(outside, 'secret'), path);
      else if (kind === 2) fs.symlinkSync(source.pick(['nowhere', '/dev/zero', '.', '/']), path);
      else if (kind === 3 && pipe !== undefined) fs.linkSync(pipe, path);
      else fs.writeFileSync(path, contentFor(source), { flag: 'wx', mode: source.pick([0o600, 0o600, 0o444, 0]) });
      if (kind === 9 && process.geteuid?.() === 0) fs.lchownSync(path, 12345, 12345);
    } catch {
      // Such a name, or it is taken.
    }
  }
  // Among all that, files of our own.
  for (let count = source.int(3); count > 0; count--) {
    const integrity = source.pick(['line', 'suffix', 'none'] as const);
    const path = join(
      directory,
      fileName({ sequence: 5000 + good.length, nonce: hex(source), attempts: 0, integrity }),
    );
    const text = JSON.stringify({ good: good.length });
    fs.writeFileSync(path, lineOf(text, integrity), { flag: 'wx', mode: 0o600 });
    good.push(text);
  }
  return good;
}

/** The real file system: pipes, links and folders cannot be simulated with profit. */
export function testFuzz(from: number, directories: number): void {
  beforeAll(() => {
    root = fs.mkdtempSync(join(tmpdir(), 'bp-fuzz-'));
    outside = join(root, 'outside');
    fs.mkdirSync(outside);
    fs.writeFileSync(join(outside, 'secret'), lineOf('"secret"', 'line'));
    if (missingPipes !== undefined) return;
    pipe = join(outside, 'pipe');
    execFileSync('mkfifo', [pipe]);
  });

  afterAll(() => {
    fs.rmSync(root, { recursive: true, force: true });
  });

  test(`G9: open() succeeds on ${directories} directories full of anything, and delivers what is good`, async () => {
    const { emitWarning } = process;
    process.emitWarning = () => undefined;
    try {
      for (let seed = from; seed < from + directories; seed++) {
        const directory = join(root, String(seed));
        fs.mkdirSync(directory, { mode: 0o700 });
        const source = random(seed);
        const good = populate(directory, source);
        const delivered: unknown[] = [];
        const batcher = new FileBatcher<unknown>({
          batchDirectory: directory,
          durability: 'none', // the disk has nothing to do with it
          unref: true,
          retry: false,
          async batchFlush(batch) {
            for await (const item of batch.items()) delivered.push(item);
          },
        });
        try {
          await batcher.open();
          await batcher.syncAddItem('new');
          await batcher.flush();
          await batcher.close();
        } catch (error) {
          throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
        }
        const texts = delivered.map((item) => JSON.stringify(item));
        const found = texts.filter((text) => text.startsWith('{"good"'));
        if (found.join() !== good.join()) throw new Error(`seed ${seed}: ${found.join()} instead of ${good.join()}`);
        if (texts.at(-1) !== '"new"') throw new Error(`seed ${seed}: G13: the new item is not the last one`);
        if (texts.includes('"secret"')) throw new Error(`seed ${seed}: a link was followed`);
        if (({} as { polluted?: number }).polluted !== undefined)
          throw new Error(`seed ${seed}: a prototype is polluted`);
        fs.rmSync(directory, { recursive: true, force: true });
      }
      expect(fs.readFileSync(join(outside, 'secret'), 'utf8')).toBe(lineOf('"secret"', 'line'));
    } finally {
      process.emitWarning = emitWarning;
    }
  }, 600_000);

  testUnless(missingPipes)('… pipes among them, which are not read', () => {
    expect(fs.lstatSync(pipe ?? '').isFIFO()).toBe(true);
  });

  testUnless(noOtherOwners())('a file of another user stays where it is', async () => {
    const directory = join(root, 'others');
    fs.mkdirSync(directory, { mode: 0o700 });
    const path = join(directory, fileName({ sequence: 1, nonce: '0'.repeat(16), attempts: 0, integrity: 'line' }));
    fs.writeFileSync(path, lineOf('1', 'line'), { mode: 0o644 });
    fs.chownSync(path, 12345, 12345);
    const delivered: string[] = [];
    const batcher = new FileBatcher({ batchDirectory: directory, batchFlush: ({ id }) => void delivered.push(id) });
    batcher.on('unreadable', () => undefined);
    expect((await batcher.open()).unreadableFiles).toBe(1);
    await batcher.close();
    expect(delivered).toEqual([]);
    expect(fs.existsSync(path)).toBe(true);
  });
}
