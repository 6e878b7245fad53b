import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { reasonOf } from '../printable.js';
import type { Job } from '../protocol.js';
import { JobProgress, isOver, newJob } from './job-progress.js';
import { JobRun, placeOf } from './job-run.js';
import type { ChunkRow } from './chunk-table.js';
import type { Workshop } from './job-run.js';
import type { JobStore, Source, StoredJob } from './job-store.js';
import { RefusedError } from './refusal.js';
import type { Roots } from './roots.js';
import type { Uploads } from './uploads.js';

/** The others wait for their turn: each has documents in memory, and with `--progress isolated` a thread. */
const RUNNING = 8;
/** Milliseconds between two times that what is new about jobs is stored. */
const SAVE_EVERY = 1_000;

/** Why a run ends early. */
class Stop extends Error {
  constructor(readonly reason: 'cancelled' | 'leaving') {
    super(reason);
  }
}

interface Entry {
  stored: StoredJob;
  progress: JobProgress;
  controller: AbortController;
  run: Promise<void> | undefined;
  unsaved: boolean;
}

export interface JobsOptions {
  shop: Workshop;
  store: JobStore;
  roots: Roots;
  uploads: Uploads;
  costPerMillionTokens: number;
  onChange(job: Job): void;
}

/** All jobs: those that run, those that wait for their turn, and those that are over. */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #waiting: Entry[] = [];
  #running = 0;
  #trouble: string | undefined;
  #saving: Promise<void> | undefined;
  #closed = false;
  /** Aborted by `stop`, for what belongs to no run. */
  readonly #leaving = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#save(), SAVE_EVERY);
  }

  /** Takes up jobs of an earlier process; those that were not over go on. */
  restore(stored: readonly StoredJob[]): void {
    for (const each of stored) {
      if (isOver(each.job)) {
        const { progress } = this.#add(each);
        // Rows that were being stored when it was cancelled may be in the table, unreported.
        if (each.job.state === 'cancelled') void this.#countWhatIsStored(each, progress);
      } else this.#start({ ...each, refresh: true });
    }
  }

  /** Newest first. */
  list(users?: ReadonlySet<string>): Job[] {
    const jobs = [...this.#entries.values()].map(({ progress }) => progress.refresh());
    return jobs.filter((job) => users === undefined || users.has(job.user)).reverse();
  }

  /** Whether such a job is under way. */
  goesOn(user: string, directory: string): boolean {
    return [...this.#entries.values()].some(({ stored: { job, source } }) => {
      return !isOver(job) && job.user === user && source.kind === 'directory' && source.path === directory;
    });
  }

  get(id: string): Job | undefined {
    return this.#entries.get(id)?.progress.refresh();
  }

  /** Once it resolves, the job is stored and outlasts the process. */
  async begin(
    user: string,
    source: Source,
    { id, refresh = false }: { id?: string; refresh?: boolean } = {},
  ): Promise<Job> {
    if (this.#closed) throw new RefusedError(503, 'The server is about to end.');
    const stored = { job: newJob(id ?? randomUUID(), user, nameOf(source)), source, refresh };
    try {
      await this.#options.store.save(stored);
    } catch (error) {
      const reason = `The database does not take the job (${reasonOf(error)}); nothing was started.`;
      throw new RefusedError(503, reason);
    }
    return this.#start(stored).progress.refresh();
  }

  /** The run ends at once; what is stored stays. */
  async cancel(id: string): Promise<Job> {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new RefusedError(404, 'There is no such job.');
    if (!isOver(entry.stored.job)) {
      entry.progress.move('cancelled');
      entry.controller.abort(new Stop('cancelled'));
      await this.#save();
    }
    return entry.progress.refresh();
  }

  stored(rows: ReadonlyMap<string, number>): void {
    for (const [job, count] of rows) this.#entries.get(job)?.progress.stored(count);
  }

  refused({ job, section }: ChunkRow, error: unknown): void {
    this.#entries.get(job)?.progress.chunkRefused(placeOf(section), error);
  }

  /** Jobs that have begun and are not over. */
  get running(): number {
    return this.#running;
  }

  userOf(id: string): string | undefined {
    return this.#entries.get(id)?.stored.job.user;
  }

  /** While there is a reason, all jobs are shown as paused by it. */
  pause(reason: string | undefined): void {
    if (this.#trouble === reason) return;
    this.#trouble = reason;
    for (const { progress } of this.#entries.values()) progress.pause(reason);
  }

  /** Runs end where they are; the next life goes on with them. */
  async stop(): Promise<void> {
    this.#closed = true;
    this.#leaving.abort(new Stop('leaving'));
    for (const { controller } of this.#entries.values()) controller.abort(new Stop('leaving'));
    for (const { run } of this.#entries.values()) await run;
  }

  /** After the rows are stored. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#save();
  }

  #add(stored: StoredJob): Entry {
    const { costPerMillionTokens, onChange, shop } = this.#options;
    const changed = (): void => {
      entry.unsaved = true;
      onChange(stored.job);
    };
    const progress = new JobProgress(stored.job, shop.embedding.capacity, costPerMillionTokens, changed);
    const entry: Entry = { stored, progress, controller: new AbortController(), run: undefined, unsaved: false };
    this.#entries.set(stored.job.id, entry);
    return entry;
  }

  #start(stored: StoredJob): Entry {
    const entry = this.#add(stored);
    entry.progress.pause(this.#trouble);
    entry.progress.move('waiting');
    this.#waiting.push(entry);
    this.#next();
    return entry;
  }

  #next(): void {
    while (this.#running < RUNNING && !this.#closed) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      if (isOver(entry.stored.job)) continue;
      this.#running += 1;
      entry.run = this.#run(entry).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #run({ stored, progress, controller }: Entry): Promise<void> {
    const { shop, roots, uploads } = this.#options;
    const { signal } = controller;
    try {
      // From an earlier process, for which other folders may have been allowed.
      if (stored.source.kind === 'directory') await roots.allow(stored.source.path);
      await new JobRun(stored, progress, shop, signal).run();
      progress.move('done');
    } catch (error) {
      if (!signal.aborted) progress.move('failed', reasonOf(error));
      else if ((signal.reason as Stop).reason === 'cancelled') await this.#countWhatIsStored(stored, progress);
    }
    if (!isOver(stored.job)) return;
    await this.#save();
    // In this order: a job that is not over needs its documents in its next life.
    if (stored.source.kind === 'files') await uploads.discard(stored.job.id).catch(() => undefined);
  }

  /** Rows that were being stored when the job was cancelled are stored all the same. */
  async #countWhatIsStored({ job }: StoredJob, progress: JobProgress): Promise<void> {
    const { database, rows, table } = this.#options.shop;
    const { signal } = this.#leaving;
    try {
      await rows.settle(signal);
      const stored = await database.patiently(() => table.storedBy(job.id), signal);
      progress.stored(stored - job.chunks.stored);
    } catch {
      // The server ends meanwhile; the next start counts again.
    }
  }

  /** One at a time, so that what is newer is stored later. What fails is tried again with the next. */
  #save(): Promise<void> {
    this.#saving = (this.#saving ?? Promise.resolve()).then(async () => {
      for (const entry of this.#entries.values()) {
        if (!entry.unsaved) continue;
        entry.unsaved = false;
        entry.progress.refresh();
        await this.#options.store.save(entry.stored).catch(() => {
          entry.unsaved = true;
        });
      }
    });
    return this.#saving;
  }
}

function nameOf(source: Source): string {
  if (source.kind === 'directory') return basename(source.path) || source.path;
  const [first, ...others] = source.files;
  return `${first?.name ?? 'nothing'}${others.length === 0 ? '' : ` and ${others.length} more`}`;
}
