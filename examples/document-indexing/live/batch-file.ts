import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { BatchLog, StoredBatches } from './batch-log.js';

const SAVE_EVERY = 2_000;

const count = z.number().nonnegative();
const storedBatches = z.object({
  totals: z.object({
    requests: count,
    batches: count,
    users: count,
    milliseconds: count,
    rows: count,
    inserts: count,
  }),
  names: z.array(z.string()),
  batches: z.array(
    z.object({
      id: count,
      at: count,
      reason: z.string(),
      size: count,
      capacity: count,
      milliseconds: count,
      parts: z.array(z.object({ job: z.string(), user: z.string(), colour: z.number(), count })),
    }),
  ),
});

/** Keeps the newest batches in a file, so that the page of the next start shows them at once. Losing them is no harm. */
export class BatchFile {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'batches.json');
  }

  async read(): Promise<StoredBatches | undefined> {
    try {
      return storedBatches.parse(JSON.parse(await readFile(this.#path, 'utf8')));
    } catch {
      return undefined;
    }
  }

  /** Writes the file from now on; the function that it returns writes it a last time. */
  keep(log: BatchLog): () => Promise<void> {
    let saved = 0;
    const save = async (): Promise<void> => {
      const stored = log.stored();
      if (stored.totals.batches === saved) return;
      saved = stored.totals.batches;
      // A file that was half written must not replace one that is whole.
      await writeFile(`${this.#path}.new`, JSON.stringify(stored));
      await rename(`${this.#path}.new`, this.#path);
    };
    const timer = setInterval(() => void save().catch(() => undefined), SAVE_EVERY);
    return async () => {
      clearInterval(timer);
      await save().catch(() => undefined);
    };
  }
}
