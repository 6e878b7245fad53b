import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isInside } from '../documents.js';
import { RefusedError } from './refusal.js';

/** The folders that jobs may read, and what lies below them. */
export class Roots {
  private constructor(readonly paths: readonly string[]) {}

  static async open(paths: readonly string[]): Promise<Roots> {
    const real = await Promise.all(paths.map((path) => realpath(path)));
    return new Roots([...new Set(real)]);
  }

  /** Resolves to the folder's real path, whatever links lead to it. What is not allowed is not even said to exist. */
  async allow(path: string): Promise<string> {
    const asked = resolve(path);
    const outside = new RefusedError(403, `Only folders below ${this.paths.join(' or ')} may be indexed.`);
    const real = await realpath(asked).catch((error: unknown) => {
      if (!this.#holds(asked)) throw outside;
      throw new RefusedError(404, `The folder ${asked} cannot be read (${codeOf(error)}).`);
    });
    if (!this.#holds(real)) throw outside;
    if (!(await stat(real)).isDirectory()) throw new RefusedError(400, `${asked} is not a folder.`);
    return real;
  }

  #holds(path: string): boolean {
    return this.paths.some((root) => isInside(root, path));
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}
