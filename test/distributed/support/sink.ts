import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What consumers have stored: a file of numbers for each process, and one whose presence means that the sink is down. */
export class Sink {
  readonly #folder = mkdtempSync(join(tmpdir(), 'bp-sink-'));
  readonly #files: string[] = [];
  readonly downFile = join(this.#folder, 'down');

  file(): string {
    const file = join(this.#folder, `out${this.#files.length}`);
    this.#files.push(file);
    return file;
  }

  folder(name: string): string {
    return join(this.#folder, name);
  }

  goDown(): void {
    writeFileSync(this.downFile, '');
  }

  comeUp(): void {
    rmSync(this.downFile);
  }

  stored(): number[] {
    return this.#files
      .flatMap((file) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []))
      .filter((line) => line !== '')
      .map(Number);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface Tally {
  lost: number;
  duplicates: number;
}

/** Of the numbers from 0 to `count`, without those of `except`. */
export function tally(stored: readonly number[], count: number, except: readonly number[] = []): Tally {
  const distinct = new Set(stored);
  let lost = 0;
  for (let n = 0; n < count; n++) if (!distinct.has(n) && !except.includes(n)) lost++;
  return { lost, duplicates: stored.length - distinct.size };
}
