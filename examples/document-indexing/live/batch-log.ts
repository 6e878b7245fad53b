import type { Batch } from '../protocol.js';
import type { Share } from './progress-hook.js';

interface Open {
  batch: Batch;
  missing: number;
}

/** How long a batch waits for the shares of those who have not read theirs yet, in milliseconds. */
const PATIENCE = 2_000;
const REMEMBERED = 500;

/**
 * Puts batches together from what each job learns about its own part. With summaries the first one to hear of a batch
 * knows all of it; with payloads for each value everybody knows a part.
 */
export class BatchLog {
  readonly #capacity: number;
  readonly #open = new Map<string, Open>();
  /** Told already; the oldest first. */
  readonly #told = new Set<string>();
  #ready: Batch[] = [];
  #ids = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  note({ batch: facts, parts }: Share): void {
    if (this.#told.has(facts.key)) return;
    let open = this.#open.get(facts.key);
    if (open === undefined) {
      const { at, reason, size, milliseconds } = facts;
      this.#ids += 1;
      const batch = { id: this.#ids, at, reason, size, capacity: this.#capacity, milliseconds, parts: [] };
      open = { batch, missing: size };
      this.#open.set(facts.key, open);
    }
    for (const { job, count } of parts) {
      const part = open.batch.parts.find((known) => known.job === job);
      if (part === undefined) open.batch.parts.push({ job, count });
      else part.count += count;
      open.missing -= count;
    }
    if (open.missing <= 0) this.#tell(facts.key, open);
  }

  /** What is complete, or will hardly be, since the last call. */
  take(): Batch[] {
    const late = performance.timeOrigin + performance.now() - PATIENCE;
    for (const [key, open] of this.#open) if (open.batch.at < late) this.#tell(key, open);
    const ready = this.#ready;
    this.#ready = [];
    return ready.sort((a, b) => a.at - b.at);
  }

  #tell(key: string, { batch }: Open): void {
    this.#open.delete(key);
    this.#told.add(key);
    for (const oldest of this.#told) {
      if (this.#told.size <= REMEMBERED) break;
      this.#told.delete(oldest);
    }
    this.#ready.push(batch);
  }
}
