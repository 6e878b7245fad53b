import { strictEqual } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { random, type Random } from 'batch-please/testing';
import { FileBatcher } from '../../../../collectors/file-batcher.js';
import { fileName } from '../../../../collectors/file/format.js';
import { lineOf } from './damage.js';

export interface FuzzOptions {
  /** An empty folder. */
  readonly root: string;
  readonly from: number;
  readonly directories: number;
  /** Whether named pipes can be made here. */
  readonly pipes: boolean;
}

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

/** What lies outside of the directories, and is put into them as links. */
interface Outside {
  readonly secret: string;
  readonly pipe: string | undefined;
}

function populate(directory: string, source: Random, { secret, pipe }: Outside): string[] {
  const good: string[] = [];
  for (let count = source.int(8); count > 0; count--) {
    const path = join(directory, nameFor(source));
    try {
      const kind = source.int(10);
      if (kind === 0) fs.mkdirSync(path);
      else if (kind === 1) fs.symlinkSync(secret, path);
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

/** G9, G13: throws if a directory does not open, or does not deliver what is good in it. */
export async function fuzz({ root, from, directories, pipes }: FuzzOptions): Promise<void> {
  // Warnings about what is there are expected.
  process.emitWarning = () => undefined;
  const outside: Outside = { secret: join(root, 'secret'), pipe: pipes ? join(root, 'pipe') : undefined };
  fs.writeFileSync(outside.secret, lineOf('"secret"', 'line'));
  if (outside.pipe !== undefined) execFileSync('mkfifo', [outside.pipe]);
  for (let seed = from; seed < from + directories; seed++) {
    const directory = join(root, String(seed));
    fs.mkdirSync(directory, { mode: 0o700 });
    await open(directory, seed, outside);
    fs.rmSync(directory, { recursive: true, force: true });
  }
  strictEqual(fs.readFileSync(outside.secret, 'utf8'), lineOf('"secret"', 'line'));
  if (outside.pipe !== undefined) strictEqual(fs.lstatSync(outside.pipe).isFIFO(), true);
}

async function open(directory: string, seed: number, outside: Outside): Promise<void> {
  const source = random(seed);
  const good = populate(directory, source, outside);
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
  if (({} as { polluted?: number }).polluted !== undefined) throw new Error(`seed ${seed}: a prototype is polluted`);
}
