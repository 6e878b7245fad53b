import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { printable, reasonOf } from '../printable.js';
import { RefusedError } from './refusal.js';

export interface UploadedFile {
  file: string;
  name: string;
}

const MAX_NAME = 200;

/** Documents that were sent here, on disk until their job ends: by then their text is in the database. */
export class Uploads {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Removes what belongs to none of these jobs: a request that was cut off, or a job that ended with its server. */
  static async open(directory: string, jobs: ReadonlySet<string>): Promise<Uploads> {
    await mkdir(directory, { recursive: true });
    const uploads = new Uploads(directory);
    for (const job of await readdir(directory)) if (!jobs.has(job)) await uploads.discard(job);
    return uploads;
  }

  /** The name is nothing but a label. */
  async store(job: string, number: number, name: string, content: Readable | string): Promise<UploadedFile> {
    const folder = join(this.#directory, job);
    const file = join(folder, `${number}`);
    try {
      await mkdir(folder, { recursive: true });
      const handle = await open(file, 'wx');
      try {
        if (typeof content === 'string') await handle.writeFile(content);
        else for await (const piece of content) await handle.writeFile(piece as Buffer); // each after the one before
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw refusalOf(error);
    }
    return { file, name: printable(name).slice(0, MAX_NAME) || `file ${number}` };
  }

  /** Once it resolves, the files of the job outlast a power cut. */
  async seal(job: string): Promise<void> {
    try {
      await syncDirectory(join(this.#directory, job));
      await syncDirectory(this.#directory);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  async discard(job: string): Promise<void> {
    await rm(join(this.#directory, job), { recursive: true, force: true });
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function refusalOf(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT') return new RefusedError(507, 'The disk of the server is full.');
  if (['EACCES', 'EPERM', 'EROFS', 'EIO', 'EMFILE', 'ENFILE'].includes(code)) {
    return new RefusedError(500, `The server cannot store the upload: ${reasonOf(error)}.`);
  }
  return error;
}
