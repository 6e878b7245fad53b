import { parseArguments, UsageError } from './arguments.js';
import type { Arguments } from './arguments.js';
import { openDatabase } from './database.js';
import type { Database } from './database.js';
import { countFiles } from './documents.js';
import { indexDocuments } from './indexing.js';
import type { IndexingReport } from './indexing.js';
import { listenForInterrupt } from './interrupt.js';
import { printable, reasonOf, shortPath } from './printable.js';
import { showProgress } from './progress.js';
import { SectionTable } from './section-table.js';
import { disagreements, hitLines, interruptionLine, summaryLines } from './summary.js';

const HITS = 5;

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Resolves to the exit code. */
async function run(options: Arguments): Promise<number> {
  const interrupt = listenForInterrupt();
  const database = await openDatabase(options.server, options.data);
  try {
    print([`Indexing ${shortPath(options.directory)} into ${printable(database.name)}`]);
    const code = await indexAndSearch(database, options, interrupt.signal);
    return interrupt.exitCode() || code;
  } finally {
    await database.close();
  }
}

async function indexAndSearch(database: Database, options: Arguments, signal: AbortSignal): Promise<number> {
  const table = await SectionTable.open(database);
  const total = await countFiles(options.directory, options.limit, signal);
  const progress = showProgress(total, process.stdout);
  let report: IndexingReport;
  try {
    report = await indexDocuments(table, options, progress, signal);
  } finally {
    progress.stop();
  }
  if (report.interrupted) print([interruptionLine(report)]);
  // A database that took no more sections has no answers either.
  if (report.sections.undelivered > 0) return 1;

  const counts = { all: await table.count(), ofRun: await table.count(report.paths) };
  print(summaryLines(report, counts));
  if (report.interrupted) return 0;
  print(['', ...hitLines(options.query, await table.search(options.query, HITS))]);
  return disagreements(report, counts).length === 0 ? 0 : 1;
}

// A reader that goes away (`npm start | head`) is no reason to leave the work half done.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  const options = parseArguments(process.argv.slice(2), process.env);
  if (options !== undefined) process.exitCode = await run(options);
} catch (error) {
  const hint = error instanceof UsageError ? ' (--help lists the options)' : '';
  process.stderr.write(`document-indexing: ${reasonOf(error)}${hint}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// For what may still be open to a server that does not answer.
setTimeout(() => process.exit(), 1_000).unref();
