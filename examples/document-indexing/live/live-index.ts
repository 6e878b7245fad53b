import { CloseError } from 'batch-please';
import type { Database } from '../database.js';
import type { Events, Info, Job, ProgressWay } from '../protocol.js';
import { reasonOf } from '../printable.js';
import { BatchLog } from './batch-log.js';
import { ChunkTable } from './chunk-table.js';
import { DatabaseWatch } from './database-watch.js';
import { shownPath } from './documents-of.js';
import type { Embedder } from './embedder.js';
import { openEmbedding } from './embedding.js';
import { EventStream } from './event-stream.js';
import { JobStore } from './job-store.js';
import { Jobs } from './jobs.js';
import { RefusedError } from './refusal.js';
import { JobRequests } from './requests.js';
import type { Limits } from './requests.js';
import { Roots } from './roots.js';
import { RowBatcher } from './row-batcher.js';
import { search } from './search.js';
import { Uploads } from './uploads.js';
import { webServer } from './web-server.js';

export interface LiveOptions {
  database: Database;
  databaseKind: Info['database']['kind'];
  embedder: Embedder;
  way: ProgressWay;
  roots: readonly string[];
  /** Where uploads are kept until they are indexed. */
  uploads: string;
  limits: Limits;
  batchSize: number;
  batchAge: number;
  page: string;
  host: string;
  loopback: boolean;
  port: number;
  /** The folder of the first job, and whose it is. */
  first: { path: string; user: string } | undefined;
  user: string;
}

export interface LiveIndex {
  /** Where the page is. */
  readonly address: string;
  readonly jobs: Jobs;
  readonly trouble: () => string | undefined;
  /** Reads no more, stores what was read; resolves to the number of chunks that could not be stored. */
  close(): Promise<number>;
}

const CLOSE_TIMEOUT = 10_000;

/** The whole of it, put together; the database is the caller's to close. */
export async function openLiveIndex(options: LiveOptions): Promise<LiveIndex> {
  const { embedder, limits } = options;
  const database = new DatabaseWatch(options.database);
  const roots = await Roots.open(options.roots);
  const table = await ChunkTable.open(database, embedder.name);
  const store = await JobStore.open(database);
  const known = await store.all();
  const uploads = await Uploads.open(options.uploads, new Set(known.map(({ job }) => job.id)));

  let rowTrouble: string | undefined;
  let embeddingTrouble: string | undefined;
  const databaseState = (): Events['database'] => {
    const message = database.trouble ?? rowTrouble;
    return message === undefined ? { available: true } : { available: false, message };
  };
  const showTrouble = (): void => {
    const { available, message } = databaseState();
    if (!available)
      jobs.pause(`The database does not answer (${message ?? ''}). Nothing is lost; it goes on by itself.`);
    else jobs.pause(embeddingTrouble);
    events.database(databaseState());
  };

  const embedding = openEmbedding(embedder, options.way, (error, wait) => {
    const again = Number.isFinite(wait) ? `; next attempt in ${(Math.max(0, wait) / 1000).toFixed(1)} s` : '';
    embeddingTrouble = `The embedding failed (${reasonOf(error)})${again}.`;
    showTrouble();
  });
  const rows = new RowBatcher(table, {
    batchSize: options.batchSize,
    batchAge: options.batchAge,
    onStored: (stored) => jobs.stored(stored),
  });
  rows.on('failed', ({ error }) => {
    rowTrouble = reasonOf(error);
    showTrouble();
  });
  rows.on('flushed', () => {
    if (rowTrouble === undefined) return;
    rowTrouble = undefined;
    showTrouble();
  });
  // What could not be stored is told by `close`.
  rows.on('closed', () => undefined);
  database.onChange(() => {
    showTrouble();
    // Without waiting for the next attempt.
    if (database.trouble === undefined) void rows.flush();
  });

  const batches = new BatchLog(embedding.capacity);
  const jobs: Jobs = new Jobs({
    shop: {
      database,
      table,
      embedding,
      rows,
      batches,
      onEmbedded: () => {
        if (embeddingTrouble === undefined) return;
        embeddingTrouble = undefined;
        showTrouble();
      },
    },
    store,
    roots,
    uploads,
    costPerMillionTokens: embedder.costPerMillionTokens,
    onChange: (job: Job) => events.changed(job),
  });
  const events: EventStream = new EventStream(batches, (id) => jobs.get(id));
  jobs.restore(known);

  const server = await webServer({
    page: options.page,
    loopback: options.loopback,
    limits,
    jobs,
    requests: new JobRequests(jobs, roots, uploads, limits),
    events,
    info: () => ({
      progress: options.way,
      user: options.user,
      embedding: {
        name: embedder.name,
        dimensions: embedder.dimensions,
        costPerMillionTokens: embedder.costPerMillionTokens,
      },
      database: { kind: options.databaseKind, available: databaseState().available },
      roots: [...roots.paths],
      limits,
    }),
    database: databaseState,
    search: async (query, limit) => {
      const hits = await search(database, table, embedder, query, limit).catch((error: unknown) => {
        throw new RefusedError(503, `The search has failed: ${reasonOf(error)}.`);
      });
      return hits.map((hit) => ({ ...hit, path: shownPath(hit.path) }));
    },
  });

  async function close(): Promise<number> {
    events.close();
    await server.close();
    await jobs.stop();
    await embedding.close();
    const lost = await rows.close({ timeout: CLOSE_TIMEOUT }).then(
      () => 0,
      (error: unknown) => {
        if (error instanceof CloseError) return error.undelivered;
        throw error;
      },
    );
    await jobs.close();
    return lost;
  }

  try {
    await beginFirst(jobs, roots, options);
    const address = await server.listen({ host: options.host, port: options.port });
    return { address, jobs, trouble: () => databaseState().message, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Unless an earlier life has begun it and not ended. What is in the index already is not embedded again. */
async function beginFirst(jobs: Jobs, roots: Roots, { first }: LiveOptions): Promise<void> {
  if (first === undefined) return;
  const path = await roots.allow(first.path);
  if (jobs.goesOn(first.user, path)) return;
  await jobs.begin(first.user, { kind: 'directory', path }, { refresh: true });
}
