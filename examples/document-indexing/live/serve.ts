import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LiveArguments, ServerArguments } from '../arguments.js';
import type { Database } from '../database.js';
import { unlessInterrupted } from '../interrupt.js';
import { counted, print } from '../printable.js';
import type { Embedder } from './embedder.js';
import { embeddingApi } from './embedding-api.js';
import { isLoopback } from './guards.js';
import { hashedEmbedder } from './hashed-embedder.js';
import { showJobs } from './job-lines.js';
import { openLiveIndex } from './live-index.js';
import { addressesFor, openBrowser } from './open-browser.js';

const LIMITS = { uploadBytes: 64 * 1024 * 1024, files: 1_000 };
const MAX_THREADS = 4;

/** The page, until `signal` aborts. Resolves to the exit code. */
export async function serve(
  database: Database,
  { server, data, batchSize, batchAge, directory }: ServerArguments,
  live: LiveArguments,
  signal: AbortSignal,
): Promise<number> {
  const { host, port, roots, user, open } = live;
  const opening = openLiveIndex({
    database,
    databaseKind: server === undefined ? 'embedded' : 'server',
    embedder: embedderOf(live),
    way: live.progress,
    roots,
    uploads: join(data, 'uploads'),
    data,
    limits: LIMITS,
    batchSize,
    batchAge,
    page: fileURLToPath(new URL('../page/', import.meta.url)),
    host,
    port,
    first: directory === undefined ? undefined : { path: directory, user },
    user,
  });
  const index = await unlessInterrupted(signal, opening);
  if (index === undefined) {
    // It ends with the database, which the caller closes.
    opening.catch(() => undefined);
    print(['Stopped before the page was there. Jobs that were not done go on at the next start.']);
    return 0;
  }
  print([`Open ${index.address} in a browser; Ctrl-C ends.`]);
  if (open) openBrowser(index.address);
  if (!isLoopback(host))
    print([
      ...addressesFor(index.address).map((address) => `From elsewhere: ${address}`),
      'Everybody who can reach this address can search, and index folders below the roots.',
    ]);
  const hide = showJobs(() => index.jobs.list(), process.stdout);
  if (!signal.aborted) await once(signal, 'abort');
  const lost = await index.close();
  hide();
  print([
    lost === 0
      ? 'Stopped. What was read is stored; jobs that were not done go on at the next start.'
      : `Stopped. ${counted(lost, 'chunk')} could not be stored; the next start reads them again.`,
  ]);
  return 0;
}

function embedderOf({ embeddings }: LiveArguments): Embedder {
  if (embeddings !== undefined) return embeddingApi(embeddings);
  const threads = Math.min(MAX_THREADS, availableParallelism());
  return hashedEmbedder(new URL('./embedding-worker.mjs', import.meta.url), threads);
}
