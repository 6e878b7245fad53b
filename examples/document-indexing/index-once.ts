import type { OnceArguments } from './arguments.js';
import type { Database } from './database.js';
import { countFiles } from './documents.js';
import { indexDocuments } from './indexing.js';
import type { IndexingReport } from './indexing.js';
import { print } from './printable.js';
import { showProgress } from './progress.js';
import { SectionTable } from './section-table.js';
import { disagreements, hitLines, interruptionLine, summaryLines } from './summary.js';

const HITS = 5;

/** Without a server: indexes, reports, answers the query. Resolves to the exit code. */
export async function indexAndSearch(database: Database, options: OnceArguments, signal: AbortSignal): Promise<number> {
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
