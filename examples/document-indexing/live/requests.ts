import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Job } from '../protocol.js';
import type { Jobs } from './jobs.js';
import { RefusedError } from './refusal.js';
import type { Roots } from './roots.js';
import type { UploadedFile, Uploads } from './uploads.js';

export interface Limits {
  uploadBytes: number;
  files: number;
}

export const MAX_USERS = 50;
export const MAX_USER = 60;

const userName = z
  .string()
  .trim()
  .min(1)
  .max(MAX_USER)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u);

const jobRequest = z.object({
  user: userName,
  source: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('directory'), path: z.string().min(1).max(4_000) }),
    z.object({
      kind: z.literal('text'),
      // Half a character cannot be stored as UTF-8.
      name: z
        .string()
        .trim()
        .min(1)
        .max(200)
        .regex(/^\P{Cs}*$/u),
      text: z.string().min(1),
    }),
  ]),
});

export function checkUser(user: unknown): string {
  const checked = userName.safeParse(user);
  if (!checked.success) throw new RefusedError(400, `A user name has 1 to ${MAX_USER} characters.`);
  return checked.data;
}

/** Begins the jobs that are asked for, once all they need is safe on disk. */
export class JobRequests {
  readonly #jobs: Jobs;
  readonly #roots: Roots;
  readonly #uploads: Uploads;
  readonly #limits: Limits;

  constructor(jobs: Jobs, roots: Roots, uploads: Uploads, limits: Limits) {
    this.#jobs = jobs;
    this.#roots = roots;
    this.#uploads = uploads;
    this.#limits = limits;
  }

  async fromJson(body: unknown): Promise<Job> {
    const { data, error } = jobRequest.safeParse(body);
    if (data === undefined) {
      const [issue] = error.issues;
      const where = issue?.path.join('.') ?? '';
      throw new RefusedError(400, `${where === '' ? 'The request' : `"${where}"`}: ${issue?.message ?? 'is wrong'}.`);
    }
    const { user, source } = data;
    if (source.kind === 'directory') {
      const path = await this.#roots.allow(source.path);
      return this.#jobs.begin(user, { kind: 'directory', path });
    }
    if (Buffer.byteLength(source.text) > this.#limits.uploadBytes) throw this.#tooLarge();
    return this.#withUploads(async (id) => {
      const file = await this.#uploads.store(id, 0, source.name, source.text);
      return { user, files: [file] };
    });
  }

  async fromFiles(request: FastifyRequest): Promise<Job> {
    return this.#withUploads(async (id) => {
      const files: UploadedFile[] = [];
      let user: unknown;
      let left = this.#limits.uploadBytes;
      for await (const part of request.parts({ limits: { fileSize: left, files: this.#limits.files } })) {
        if (part.type === 'field') {
          if (part.fieldname === 'user') user = part.value;
          continue;
        }
        files.push(await this.#uploads.store(id, files.length, part.filename, part.file));
        left -= part.file.bytesRead;
        if (part.file.truncated || left < 0) throw this.#tooLarge();
      }
      if (files.length === 0) throw new RefusedError(400, 'There are no files in the request.');
      return { user: checkUser(user), files };
    });
  }

  async #withUploads(store: (id: string) => Promise<{ user: string; files: UploadedFile[] }>): Promise<Job> {
    const id = randomUUID();
    try {
      const { user, files } = await store(id);
      await this.#uploads.seal(id);
      return await this.#jobs.begin(user, { kind: 'files', files }, { id });
    } catch (error) {
      await this.#uploads.discard(id).catch(() => undefined);
      throw error;
    }
  }

  #tooLarge(): RefusedError {
    const mebibytes = this.#limits.uploadBytes / 1024 / 1024;
    return new RefusedError(413, `An upload may have ${Number(mebibytes.toFixed(1))} MiB, all files together.`);
  }
}
