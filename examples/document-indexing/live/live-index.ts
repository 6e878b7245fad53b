import { CloseError } from 'batch-please';
import { MAX_BYTES } from '../documents.js';
import type { Database } from '../database.js';
import type { Events, Info, Job, ProgressWay } from '../protocol.js';
import { reasonOf } from '../printable.js';
import { isPermanent } from '../sql-state.js';
import { BatchFile } from './batch-file.js';
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
import { Simulation, simulatedUserOf } from './simulation.js';
import { sourceCode } from './source-code.js';
import { Uploads } from './uploads.js';
import { listenOn } from './listen.js';
import { within } from './within.js';
import { webServer } from './web-server.js';

export interface LiveOptions {
  database: Database;
  databaseKind: Info['database']['kind'];
  embedder: Embedder;
  way: ProgressWay;
  roots: readonly string[];
  /** Where uploads are kept until they are indexed. */
  uploads: string;
  /** Where the newest batches are kept. */
  data: string;
  limits: Limits;
  batchSize: number;
  batchAge: number;
  page: string;
  host: string;
  /** `exact`: no other one will do. */
  port: { number: number; exact: boolean };
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

/** Of a batch: how much of it one of several jobs can fill by itself. */
const SHARED = 0.6;
/** Milliseconds from the first Ctrl-C to the end, whatever does not answer. */
const CLOSE_TIMEOUT = 10_000;
/** Of those, for what comes after the rows. */
const LAST_SAVE = 1_000;

/** The whole of it, put together; the database is the caller's to close. */
export async function openLiveIndex(options: LiveOptions): Promise<LiveIndex> {
  const { embedder, limits } = options;
  const database = new DatabaseWatch(options.database);
  const roots = await Roots.open(options.roots);
  const table = await ChunkTable.open(database, embedder.name);
  if (table.dimensions > 0) embedder.expect(table.dimensions);
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

  const tellEmbedding = (reason: string, wait: number): void => {
    if (!Number.isFinite(wait)) return;
    const again = `next attempt in ${(Math.max(0, wait) / 1000).toFixed(1)} s`;
    embeddingTrouble = `The embedding failed (${reason}); ${again}.`;
    showTrouble();
  };
  const embedding = openEmbedding(
    embedder,
    options.way,
    (error, wait) => tellEmbedding(reasonOf(error), wait),
    tellEmbedding,
  );
  const rows = new RowBatcher(table, {
    batchSize: options.batchSize,
    batchAge: options.batchAge,
    onStored: (stored) => {
      batches.inserted([...stored.values()].reduce((sum, count) => sum + count, 0));
      jobs.stored(stored);
    },
    onRefused: (row, error) => jobs.refused(row, error),
  });
  rows.on('failed', ({ error }) => {
    if (isPermanent(error)) return;
    rowTrouble = reasonOf(error);
    showTrouble();
  });
  rows.on('flushed', () => {
    if (rowTrouble === undefined) return;
    rowTrouble = undefined;
    showTrouble();
  });
  // A row that is refused is reported to its job, and what could not be stored in the end by `close`.
  for (const event of ['held', 'dropped', 'closed'] as const) rows.on(event, () => undefined);
  database.onChange(() => {
    showTrouble();
    // Without waiting for the next attempt.
    if (database.trouble === undefined) void rows.flush();
  });

  const batchFile = new BatchFile(options.data);
  const userOf = (job: string): string => simulatedUserOf(job) ?? jobs.userOf(job) ?? 'somebody';
  const batches = new BatchLog(embedding.capacity, userOf, await batchFile.read());
  const saveBatches = batchFile.keep(batches);
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
      window: () => (jobs.running < 2 ? Infinity : Math.ceil(embedding.capacity * SHARED)),
    },
    store,
    roots,
    uploads,
    costPerMillionTokens: embedder.costPerMillionTokens,
    onChange: (job: Job) => events.changed(job),
  });
  const events: EventStream = new EventStream(batches, (id) => jobs.get(id));
  const simulation = new Simulation(embedding, batches, () => events.simulation(simulation.state));
  jobs.restore(known);

  const server = await webServer({
    page: options.page,
    host: options.host,
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
      limits: { ...limits, documentBytes: MAX_BYTES },
      call: { measured: embedder.assumedCall === undefined, milliseconds: embedder.assumedCall ?? 0 },
    }),
    picture: (users) => ({ jobs: jobs.list(users), database: databaseState(), simulation: simulation.state }),
    simulation,
    search: (query, limit) =>
      search(database, table, embedder, query, limit).catch((error: unknown) => {
        throw new RefusedError(503, `The search has failed: ${reasonOf(error)}.`);
      }),
    document: async (path) => {
      const sections = await table.document(path).catch((error: unknown) => {
        throw new RefusedError(503, `The database does not answer: ${reasonOf(error)}.`);
      });
      if (sections.length === 0) throw new RefusedError(404, 'There is no such document in the index.');
      return { path: shownPath(path), sections };
    },
    code: sourceCode,
  });

  async function close(): Promise<number> {
    const end = performance.now() + CLOSE_TIMEOUT - LAST_SAVE;
    const left = (): number => Math.max(0, end - performance.now());
    events.close();
    simulation.stop();
    await within(left(), server.close());
    await within(left(), jobs.stop());
    await within(left(), embedding.close());
    const lost = rows.close({ timeout: left() }).then(
      () => 0,
      (error: unknown) => {
        if (error instanceof CloseError) return error.undelivered;
        throw error;
      },
    );
    const undelivered = (await within(left() + LAST_SAVE, lost)) ?? rows.state.pending;
    await within(LAST_SAVE, Promise.all([jobs.close(), saveBatches()]));
    return undelivered;
  }

  try {
    await beginFirst(jobs, roots, options);
    const address = await listenOn(server, options.host, options.port);
    return { address, jobs, trouble: () => databaseState().message, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Unless an earlier process has begun it and not ended. What is in the index already is not embedded again. */
async function beginFirst(jobs: Jobs, roots: Roots, { first }: LiveOptions): Promise<void> {
  if (first === undefined) return;
  const path = await roots.allow(first.path);
  if (jobs.goesOn(first.user, path)) return;
  await jobs.begin(first.user, { kind: 'directory', path }, { refresh: true });
}
