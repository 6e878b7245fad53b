import { CloseError } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors';
import { isInside, markdownFiles, readDocument } from './documents.js';
import { counted, reasonOf } from './printable.js';
import type { Counts, Progress } from './progress.js';
import { rowsOf } from './section-table.js';
import type { SectionRow, SectionTable } from './section-table.js';
import { splitSections } from './sections.js';

export interface IndexingOptions {
  /** Absolute, and so are the paths of its documents: they mean the same wherever the program is started next. */
  directory: string;
  limit: number;
  batchSize: number;
  batchAge: number;
}

export interface IndexingReport {
  files: number;
  unreadable: { path: string; reason: string }[];
  /** Documents with sections. */
  paths: string[];
  sections: { added: number; delivered: number; undelivered: number };
  rows: { added: number; present: number; removed: number };
  batches: Map<string, number>;
  seconds: number;
  interrupted: boolean;
}

/** A batch of long sections is sent before it is full, so that a statement stays some megabytes long. */
const MAX_BATCH_CHARACTERS = 2_000_000;
/** While one of them waits for its batch to be stored, the others fill the next one. */
const READERS = 4;
const CLOSE_TIMEOUT = 10_000;

/** Adds every section of every document to a batcher that stores them, until all is stored or `signal` aborts. */
export async function indexDocuments(
  table: SectionTable,
  { directory, limit, batchSize, batchAge }: IndexingOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<IndexingReport> {
  const started = performance.now();
  const counts: Counts = { files: 0, sections: 0, stored: 0 };
  const rows = { added: 0, present: 0, removed: 0 };
  const batches = new Map<string, number>();
  const unreadable: IndexingReport['unreadable'] = [];
  const paths: string[] = [];
  let failing = false;

  const batcher = new MemoryBatcher<SectionRow>({
    maxBatchSize: batchSize,
    maxTimeSinceFirstItem: batchAge,
    maxBatchWeight: MAX_BATCH_CHARACTERS,
    weigh: (row) => row.content.length,
    maxPending: 4 * batchSize,
    overflow: 'wait',
    retry: { minDelay: 250, maxDelay: 5_000 },
    batchFlush: async ({ items }) => {
      const stored = await table.store(items);
      rows.added += stored.added;
      rows.present += stored.present;
      rows.removed += stored.removed;
    },
  });
  batcher.on('flushed', ({ reason, size }) => {
    batches.set(reason, (batches.get(reason) ?? 0) + 1);
    counts.stored += size;
    if (failing) progress.note('The database answers again.');
    failing = false;
    progress.update(counts);
  });
  batcher.on('failed', ({ error, retryAt }) => {
    failing = true;
    const wait = Math.max(0, retryAt - performance.now()) / 1000;
    const pending = counted(batcher.state.pending, 'section');
    progress.note(`The database failed (${reasonOf(error)}); ${pending} wait, next attempt in ${wait.toFixed(1)} s.`);
  });

  // What could not be delivered is in the report.
  batcher.on('closed', () => undefined);

  let wholeTree = limit === Infinity;
  const files = markdownFiles(directory, (path, error) => {
    wholeTree = false;
    unreadable.push({ path, reason: reasonOf(error) });
  });

  async function addDocument(path: string): Promise<void> {
    const text = await readDocument(path).catch((error: unknown) => {
      unreadable.push({ path, reason: reasonOf(error) });
    });
    if (text === undefined) return;
    const sections = rowsOf(path, splitSections(text));
    if (sections.length > 0) paths.push(path);
    for (const section of sections) {
      await batcher.syncAddItem(section, { signal });
      counts.sections += 1;
    }
  }

  async function addDocuments(): Promise<void> {
    for await (const path of files) {
      if (counts.files >= limit || signal.aborted) break;
      counts.files += 1;
      await addDocument(path);
      progress.update(counts);
    }
  }

  try {
    await Promise.all(Array.from({ length: READERS }, addDocuments));
    await batcher.flush({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if (signal.aborted) {
      const pending = counted(batcher.state.pending, 'section');
      progress.note(`Stopping: ${pending} to be stored yet. Ctrl-C again ends at once.`);
    }
    await batcher.close({ timeout: CLOSE_TIMEOUT }).catch((error: unknown) => {
      if (!(error instanceof CloseError)) throw error;
    });
  }
  const { totalItems: added, delivered } = batcher.state.counts;
  const sections = { added, delivered, undelivered: added - delivered };
  const seconds = (performance.now() - started) / 1000;
  const interrupted = signal.aborted;
  if (wholeTree && !interrupted) rows.removed += await forgetVanished(table, directory, paths, unreadable);
  return { files: counts.files, unreadable, paths, sections, rows, batches, seconds, interrupted };
}

/** Removes the rows of documents under the directory that are no longer there, or no longer have any section. */
async function forgetVanished(
  table: SectionTable,
  directory: string,
  paths: readonly string[],
  unreadable: readonly { path: string }[],
): Promise<number> {
  const known = new Set([...paths, ...unreadable.map(({ path }) => path)]);
  const vanished = (await table.paths()).filter((path) => !known.has(path) && isInside(directory, path));
  return vanished.length === 0 ? 0 : table.forget(vanished);
}
