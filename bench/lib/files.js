import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for the time of `use`. BENCH_DIR says on which disk. */
export async function inDirectory(use) {
  const directory = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'bench-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** JSON of 52 bytes. */
export const itemOf = (id) => ({ id: 1_000_000_000 + id, kind: 'order', text: 'abcdefghij' });
export const idOf = (item) => item.id - 1_000_000_000;

/** Counts, and adds up, what has been read back. */
export class Reader {
  count = 0;
  sum = 0;
  disorder = 0;
  #next = 0;
  see(item) {
    const id = idOf(item);
    if (id !== this.#next) this.disorder++;
    this.#next = id + 1;
    this.count++;
    this.sum += id;
  }
  lines(text) {
    for (const line of text.split('\n')) if (line !== '') this.see(JSON.parse(line));
  }
}
