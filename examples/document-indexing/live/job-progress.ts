import { reasonOf } from '../printable.js';
import type { Job, JobState } from '../protocol.js';
import { Latency } from './latency.js';
import type { Share } from './progress-hook.js';

export const MAX_PROBLEMS = 20;
/** Milliseconds that the speed is measured over, while a job goes on. */
const SPEED_OVER = 4_000;

export function isOver({ state }: Job): boolean {
  return state === 'done' || state === 'cancelled' || state === 'failed';
}

/** How a job that is over is called. One that says only "done" has stored all there was. */
export function outcomeOf({ state, chunks, files, batches }: Job): string {
  if (state !== 'done') return state;
  if (chunks.stored === 0) return 'nothing stored';
  if (files.failed > 0 || chunks.refused > 0) return 'done with problems';
  return batches === 0 ? 'already indexed' : 'done';
}

export function newJob(id: string, user: string, name: string): Job {
  return {
    id,
    user,
    name,
    state: 'waiting',
    files: { done: 0, failed: 0 },
    chunks: { read: 0, embedded: 0, stored: 0, refused: 0 },
    batches: 0,
    meanFill: 0,
    chunksPerSecond: 0,
    latency: { p50: 0, p95: 0, p99: 0 },
    tokens: 0,
    cost: 0,
    coalescing: { strangersShare: 0 },
    startedAt: Date.now(),
    problems: [],
  };
}

/** Counts for one job; `onChange` is called when there is something new. */
export class JobProgress {
  readonly job: Job;
  readonly #capacity: number;
  readonly #price: number;
  readonly #onChange: () => void;
  readonly #latency = new Latency();
  /** In the batches of this process: chunks of all jobs, and its own. */
  #batchSizes = 0;
  #own = 0;
  /** The batch that its latest share was of. */
  #batch = '';
  #batches = 0;
  /** What it would be doing if the database were there. */
  #phase: JobState;
  #pause: string | undefined;
  /** Chunks with a vector, at several times, oldest first. */
  #samples: { at: number; chunks: number }[] = [];

  constructor(job: Job, capacity: number, costPerMillionTokens: number, onChange: () => void) {
    this.job = job;
    this.#phase = job.state === 'paused' ? 'reading' : job.state;
    this.#capacity = capacity;
    this.#price = costPerMillionTokens / 1_000_000;
    this.#onChange = onChange;
  }

  /** From the beginning of its documents, whatever an earlier process had done. Tokens were spent once. */
  restart(): void {
    const { job } = this;
    job.files = { done: 0, failed: 0 };
    job.chunks = { read: 0, embedded: 0, stored: 0, refused: 0 };
    job.problems = [];
    delete job.endedAt;
    this.#onChange();
  }

  move(state: JobState, message?: string): void {
    this.#phase = state;
    this.#show(message);
    if (isOver(this.job)) {
      this.job.endedAt = Date.now();
      this.job.chunksPerSecond = this.#meanSpeed();
    }
  }

  /** For as long as there is a reason; it goes on when there is none. */
  pause(reason: string | undefined): void {
    this.#pause = reason;
    if (!isOver(this.job)) this.#show();
  }

  /** Now it is known how many chunks there are. */
  readingEnded(): void {
    this.job.chunks.total = this.job.chunks.read;
    this.move('running');
  }

  #show(message?: string): void {
    const { job } = this;
    job.state = this.#phase;
    if (this.#pause !== undefined && (job.state === 'reading' || job.state === 'running')) job.state = 'paused';
    const shown = job.state === 'paused' ? this.#pause : message;
    if (shown === undefined) delete job.message;
    else job.message = shown;
    this.#onChange();
  }

  read(): void {
    this.job.chunks.read += 1;
  }

  /** So many were stored before. */
  found(count: number): void {
    const { chunks } = this.job;
    chunks.read += count;
    chunks.embedded += count;
    chunks.stored += count;
  }

  filesDone(count: number): void {
    this.job.files.done += count;
    this.#onChange();
  }

  fileFailed(path: string, error: unknown): void {
    const { files, problems } = this.job;
    files.failed += 1;
    if (problems.length < MAX_PROBLEMS) problems.push({ path, message: reasonOf(error) });
    this.#onChange();
  }

  /** A chunk that is never stored. The first reasons are kept. */
  chunkRefused(path: string, error: unknown): void {
    const { chunks, problems } = this.job;
    chunks.refused += 1;
    if (problems.length < MAX_PROBLEMS) problems.push({ path, message: reasonOf(error) });
    this.#onChange();
  }

  /** A hook has reported a batch: several times for a job whose values do not lie next to each other. */
  embedded({ batch, own }: Share): void {
    const { job } = this;
    if (batch.key !== this.#batch) {
      this.#batch = batch.key;
      this.#batchSizes += batch.size;
      this.#batches += 1;
      job.batches += 1;
    }
    this.#own += own.count;
    job.chunks.embedded += own.count;
    job.tokens += own.tokens;
    job.cost = job.tokens * this.#price;
    job.meanFill = this.#batchSizes / (this.#batches * this.#capacity);
    job.coalescing.strangersShare = Math.max(0, 1 - this.#own / this.#batchSizes);
    this.#onChange();
  }

  /** A chunk has got its vector, so many milliseconds after it was submitted. */
  answered(milliseconds: number): void {
    this.#latency.record(milliseconds);
  }

  stored(chunks: number): void {
    this.job.chunks.stored += chunks;
    this.#onChange();
  }

  /** What takes more than an addition, as of now. */
  refresh(): Job {
    const { job } = this;
    if (this.#latency.count > 0) {
      job.latency = { p50: this.#latency.at(50), p95: this.#latency.at(95), p99: this.#latency.at(99) };
    }
    if (isOver(job)) return job;
    const at = performance.now();
    const first = this.#samples.find((sample) => at - sample.at <= SPEED_OVER) ?? { at, chunks: this.#own };
    job.chunksPerSecond = at > first.at ? ((this.#own - first.chunks) * 1000) / (at - first.at) : 0;
    this.#samples = [...this.#samples.filter((sample) => at - sample.at <= SPEED_OVER), { at, chunks: this.#own }];
    return job;
  }

  #meanSpeed(): number {
    const { startedAt, endedAt = Date.now() } = this.job;
    return endedAt > startedAt ? (this.#own * 1000) / (endedAt - startedAt) : 0;
  }
}
