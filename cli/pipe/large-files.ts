import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../collectors/file/file-system.js';

const FOLDER = 'large';
const NAME = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Records that are too long for a line of the spool: each is a file of its own, and the line has its name. */
export class LargeFiles {
  readonly #spool: string;
  readonly #folder: string;
  /** Delivered batches whose own file was still there at the last look. */
  #delivered: { batch: string; names: readonly string[] }[] = [];

  constructor(spool: string) {
    this.#spool = spool;
    this.#folder = join(spool, FOLDER);
  }

  async makeFolder(): Promise<void> {
    await makeFolder(this.#folder);
  }

  static isName(name: string): boolean {
    return NAME.test(name);
  }

  /** Returns the name once the record survives power loss. */
  write(buffers: readonly Buffer[]): string {
    const name = randomUUID();
    const path = join(this.#folder, name);
    try {
      const descriptor = openSync(path, 'wx', 0o600);
      try {
        for (const buffer of buffers) {
          for (let at = 0; at < buffer.length;) at += writeSync(descriptor, buffer, at);
        }
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      this.#syncFolder();
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
    return name;
  }

  read(name: string): Buffer {
    return readFileSync(join(this.#folder, name));
  }

  /** `batch`: the file with their names, which is removed soon. A process that is killed before that delivers it again. */
  delivered(batch: string, names: readonly string[]): void {
    this.sweep();
    if (names.length > 0) this.#delivered.push({ batch, names });
  }

  /** Removes the files of batches whose own file has been removed. */
  sweep(): void {
    this.#delivered = this.#delivered.filter(({ batch, names }) => {
      if (existsSync(batch)) return true;
      for (const name of names) this.#remove(name);
      return false;
    });
  }

  /** Removes what an earlier process left when it was killed, if nothing else is in the spool, which might name it. */
  removeOrphans(): void {
    for (const entry of readdirSync(this.#spool, { withFileTypes: true })) {
      if (entry.name === FOLDER || entry.name.startsWith('lock')) continue;
      if (!entry.isDirectory() || readdirSync(join(this.#spool, entry.name)).length > 0) return;
    }
    for (const name of readdirSync(this.#folder)) {
      if (NAME.test(name)) this.#remove(name);
    }
  }

  /** One that cannot be removed stays until a later start: the batch is delivered, and must not be again. */
  #remove(name: string): void {
    try {
      rmSync(join(this.#folder, name), { force: true });
    } catch {
      // Only room is lost.
    }
  }

  #syncFolder(): void {
    if (process.platform === 'win32') return; // a directory cannot be opened there
    const descriptor = openSync(this.#folder, 'r');
    try {
      fsyncSync(descriptor);
    } catch (error) {
      // Some file systems have no such thing.
      if (!['EINVAL', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    } finally {
      closeSync(descriptor);
    }
  }
}
