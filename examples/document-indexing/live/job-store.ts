import type { Database } from '../database.js';
import type { Job } from '../protocol.js';

/** Where a job's documents come from; uploaded ones are kept until the job ends. */
export type Source =
  | { kind: 'directory'; path: string }
  | {
      kind: 'files';
      /** Where they were put by, and what they were called. */
      files: { file: string; name: string }[];
    };

export interface StoredJob {
  job: Job;
  source: Source;
  /** What is stored already is not embedded again. */
  refresh: boolean;
}

const SCHEMA = `CREATE TABLE IF NOT EXISTS indexing_jobs (
  id text PRIMARY KEY,
  job jsonb NOT NULL,
  source jsonb NOT NULL,
  refresh boolean NOT NULL
)`;

/** Keeps jobs, so that they survive the process. */
export class JobStore {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  static async open(database: Database): Promise<JobStore> {
    await database.query(SCHEMA);
    return new JobStore(database);
  }

  async save({ job, source, refresh }: StoredJob): Promise<void> {
    await this.#database.query(
      `INSERT INTO indexing_jobs (id, job, source, refresh) VALUES ($1, $2::jsonb, $3::jsonb, $4)
        ON CONFLICT (id) DO UPDATE SET job = excluded.job, refresh = excluded.refresh`,
      [job.id, JSON.stringify(job), JSON.stringify(source), refresh],
    );
  }

  /** Oldest first. */
  async all(): Promise<StoredJob[]> {
    const rows = await this.#database.query('SELECT job, source, refresh FROM indexing_jobs');
    const jobs = rows as unknown as StoredJob[]; // as `save` wrote them
    return jobs.sort((a, b) => a.job.startedAt - b.job.startedAt);
  }
}
