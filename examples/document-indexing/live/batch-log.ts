import type { Batch, BatchNews, Part, Totals } from '../protocol.js';
import { Palette } from './palette.js';
import type { Share } from './progress-hook.js';

interface Open {
  batch: Batch;
  missing: number;
}

/**
 * Milliseconds that a batch waits for the shares of callers that have not read theirs yet. On a busy machine that takes
 * seconds; the shares of a job that was cancelled never come.
 */
const SHARES_TIMEOUT = 15_000;
/** Batches that a page gets when it connects, and that the next process starts with. */
export const KEPT = 200;
const KEYS_KEPT = 500;
/** Names that count as different users. */
const MAX_NAMES = 1_000;

/** What is stored, so that a page has something to show after a restart. */
export interface StoredBatches {
  totals: Totals;
  batches: Batch[];
  names: string[];
}

/**
 * Puts batches together from what each job learns about its own part. With summaries the first one to hear of a batch
 * knows all of it; with a payload for each value every job knows a part.
 */
export class BatchLog {
  readonly #capacity: number;
  readonly #userOf: (job: string) => string;
  readonly #open = new Map<string, Open>();
  /** Keys of complete batches, the oldest first. */
  readonly #complete = new Set<string>();
  readonly #palette = new Palette();
  readonly #names: Set<string>;
  readonly #totals: Totals;
  #kept: Batch[];
  #ready: Batch[] = [];
  #ids: number;

  constructor(capacity: number, userOf: (job: string) => string, stored?: StoredBatches) {
    this.#capacity = capacity;
    this.#userOf = userOf;
    this.#totals = stored?.totals ?? { requests: 0, batches: 0, users: 0, milliseconds: 0, rows: 0, inserts: 0 };
    this.#kept = stored?.batches ?? [];
    this.#names = new Set(stored?.names);
    this.#ids = this.#kept.at(-1)?.id ?? 0;
    for (const { parts } of this.#kept) for (const { user, colour } of parts) this.#palette.restore(user, colour);
  }

  note({ batch: facts, parts }: Share): void {
    if (this.#complete.has(facts.key)) return;
    let open = this.#open.get(facts.key);
    if (open === undefined) {
      const { at, reason, size, milliseconds } = facts;
      const batch = { id: 0, at, reason, size, capacity: this.#capacity, milliseconds, parts: [] };
      open = { batch, missing: size };
      this.#open.set(facts.key, open);
    }
    for (const { job, count } of parts) {
      const part = open.batch.parts.find((known) => known.job === job);
      if (part === undefined) open.batch.parts.push(this.#part(job, count));
      else part.count += count;
      open.missing -= count;
    }
    if (open.missing <= 0) this.#close(facts.key, open);
  }

  inserted(rows: number): void {
    this.#totals.rows += rows;
    this.#totals.inserts += 1;
  }

  colourOf(user: string): number {
    return this.#palette.colourOf(user);
  }

  /** What is complete, or will hardly be, since the last call. */
  take(): BatchNews {
    const late = performance.timeOrigin + performance.now() - SHARES_TIMEOUT;
    for (const [key, open] of this.#open) if (open.batch.at < late) this.#close(key, open);
    const batches = this.#ready.sort((a, b) => a.at - b.at);
    this.#ready = [];
    // In the order in which pages get them, so that a page knows what it has already.
    for (const batch of batches) batch.id = ++this.#ids;
    if (batches.length > 0) this.#keep(batches);
    return { totals: { ...this.#totals }, batches };
  }

  /** For a page that connects: what `take` has returned so far. */
  history(): BatchNews {
    return { totals: { ...this.#totals }, batches: this.#kept };
  }

  stored(): StoredBatches {
    return { totals: this.#totals, batches: this.#kept, names: [...this.#names] };
  }

  #part(job: string, count: number): Part {
    const user = this.#userOf(job);
    if (this.#names.size < MAX_NAMES) this.#names.add(user);
    return { job, user, colour: this.#palette.colourOf(user), count };
  }

  #keep(batches: readonly Batch[]): void {
    for (const { size, milliseconds } of batches) {
      this.#totals.requests += size;
      this.#totals.batches += 1;
      this.#totals.milliseconds += milliseconds;
    }
    this.#totals.users = this.#names.size;
    this.#kept = [...this.#kept, ...batches].slice(-KEPT);
    this.#palette.keep(new Set(this.#kept.flatMap(({ parts }) => parts.map(({ user }) => user))));
  }

  #close(key: string, { batch }: Open): void {
    this.#open.delete(key);
    this.#complete.add(key);
    for (const oldest of this.#complete) {
      if (this.#complete.size <= KEYS_KEPT) break;
      this.#complete.delete(oldest);
    }
    this.#ready.push(batch);
  }
}
