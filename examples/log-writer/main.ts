import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LogWriter } from './log-writer.js';

/** Many writers at once, each of which waits for its line to be on disk before it writes the next. */
const { path: asked, writers, lines } = optionsOf(process.argv.slice(2));
// Without a name the log goes to a temporary folder.
const path = asked ?? join(await mkdtemp(join(tmpdir(), 'log-writer-')), 'app.log');
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

/** If an option is wrong, it prints a line that says so and ends the program. */
function optionsOf(args: string[]): { path: string | undefined; writers: number; lines: number } {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: { writers: { type: 'string', default: '200' }, lines: { type: 'string', default: '20' } },
    });
    for (const [name, text] of Object.entries(values)) {
      if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} must be a positive whole number, and is "${text}"`);
    }
    return { path: positionals[0], writers: Number(values.writers), lines: Number(values.lines) };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}
