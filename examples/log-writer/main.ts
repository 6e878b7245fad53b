import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LogWriter } from './log-writer.js';

/** Many writers at once, each of which waits for its line to be on disk before it writes the next. */
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { writers: { type: 'string', default: '200' }, lines: { type: 'string', default: '20' } },
});
const writers = Number(values.writers);
const lines = Number(values.lines);
// Without a name the log goes to a temporary folder.
const path = positionals[0] ?? join(await mkdtemp(join(tmpdir(), 'log-writer-')), 'app.log');
await using log = await LogWriter.start(path);

const began = performance.now();
const writer = async (name: number): Promise<void> => {
  for (let i = 0; i < lines; i++) await log.call(`writer ${name}, line ${i}`);
};
await Promise.all(Array.from({ length: writers }, (_, name) => writer(name)));
const seconds = (performance.now() - began) / 1000;

const { batches, ops, sizes, durations } = log.sys.statistics();
console.log(`${ops} durable lines in ${seconds.toFixed(2)} s: ${Math.round(ops / seconds)} a second`);
console.log(
  `${batches} syncs of ${durations.p50.toFixed(1)} ms; lines per sync: median ${sizes.p50}, most ${sizes.max}`,
);
