import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { indexOnce } from '../support/index-once.js';
import { scratch } from '../support/live-server.js';
import { newDatabase } from '../support/new-database.js';

jest.setTimeout(240_000);

const directory = scratch();

const FILES = 200;
const SECTIONS = 100 * FILES;

test('SIGINT says what is stored; the next run stores the rest', async () => {
  const data = join(directory, 'data');
  await newDatabase(join(data, 'postgres'));
  const many = join(directory, 'many');
  await mkdir(many);
  // So many that the program is at work still when the signal comes, also where this process stands still meanwhile.
  for (let file = 0; file < FILES; file += 1) {
    const sections = Array.from({ length: 100 }, (_, i) => `# Section ${i}\n\nText ${i} of file ${file}\n`);
    await writeFile(join(many, `${file}.md`), sections.join('\n'));
  }
  let asked = false;
  const first = await indexOnce([many, '--data', data, '--batch-size', '1'], (output, kill) => {
    if (!asked && /, [1-9][\d,]* stored/.test(output)) kill('SIGINT');
    asked ||= /, [1-9][\d,]* stored/.test(output);
  });
  expect(first.code).toBe(130);
  const stored = Number(/^Stopped\. ([\d,]+) sections of/m.exec(first.output)?.[1]?.replaceAll(',', ''));
  expect(stored).toBeGreaterThan(0);
  expect(stored).toBeLessThan(SECTIONS);
  expect(first.output).toMatch(/^counts +agree$/m);
  const second = await indexOnce([many, '--data', data]);
  const number = (n: number): string => n.toLocaleString('en-US');
  expect(second.output).toContain(`${number(SECTIONS - stored)} new, ${number(stored)} already there`);
  expect(second.output).toMatch(/^counts +agree$/m);
  expect(second.code).toBe(0);
  expect(await readdir(data)).toEqual(['postgres']);
});
