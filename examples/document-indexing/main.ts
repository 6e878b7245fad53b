import { parseArguments, UsageError } from './arguments.js';
import type { Arguments } from './arguments.js';
import { openDatabase } from './database.js';
import { indexAndSearch } from './index-once.js';
import { listenForInterrupt, unlessInterrupted } from './interrupt.js';
import { serve } from './live/serve.js';
import { print, printable, reasonOf, shortPath } from './printable.js';

/** Resolves to the exit code. */
async function run(options: Arguments): Promise<number> {
  const interrupt = listenForInterrupt();
  if (options.server === undefined) print([`Opening the embedded Postgres in ${shortPath(options.data)} …`]);
  const database = await unlessInterrupted(interrupt.signal, openDatabase(options.server, options.data));
  if (database === undefined) {
    print(['Stopped before the database was open.']);
    return interrupt.exitCode();
  }
  const { directory } = options;
  try {
    if (directory !== undefined) print([`Indexing ${shortPath(directory)} into ${printable(database.name)}`]);
    const code =
      options.live === undefined
        ? await indexAndSearch(database, options, interrupt.signal)
        : await serve(database, options, options.live, interrupt.signal);
    return interrupt.exitCode() || code;
  } finally {
    await database.close();
  }
}

async function main(argv: readonly string[]): Promise<void> {
  try {
    const options = parseArguments(argv, process.env);
    if (options !== undefined) process.exitCode = await run(options);
  } catch (error) {
    const hint = error instanceof UsageError ? ' (--help lists the options)' : '';
    process.stderr.write(`document-indexing: ${reasonOf(error)}${hint}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
  // For what may still be open to a server that does not answer.
  setTimeout(() => process.exit(), 1_000).unref();
}

// A reader that goes away (`npm start | head`) is no reason to leave the work half done.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const argv = process.argv.slice(2);
// A program of its own, with options of its own.
if (argv.some((argument) => /^--machines(=|$)/.test(argument))) await import('../several-machines/main.js');
else await main(argv);
