import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Database, Row } from './database.js';
import type { Answer, Question, Request } from './embedded-worker.js';
import { lockDirectory } from './lock.js';
import { reasonOf } from './printable.js';
import { sqlStateOf } from './sql-state.js';

/** Milliseconds after which a database that has not answered is started again; on a slow machine later each time. */
const QUERY_TIMEOUT = 20_000;
const LONGEST_QUERY_TIMEOUT = 160_000;
/** The first start of a database on a busy machine, or its recovery from a crash. */
const OPEN_TIMEOUT = 120_000;
const CLOSE_TIMEOUT = 3_000;
/** Bytes of one file of Postgres's log. */
const ROOM_NEEDED = 16 * 1024 * 1024;

interface Waiter {
  resolve(rows: readonly Row[]): void;
  reject(error: Error): void;
}

class NoAnswer extends Error {
  constructor(limit: number) {
    super(`the embedded database has not answered for ${limit / 1000} s`);
  }
}

/** One life of the thread that the database runs on. */
class Session {
  readonly #worker = new Worker(bootstrap(), { eval: true });
  readonly #waiters = new Map<number, Waiter>();
  #asked = 0;
  #failure: Error | undefined;

  constructor() {
    this.#worker.once('error', (error) => {
      this.#fail(error);
    });
    this.#worker.once('exit', () => {
      this.#fail(new Error('the embedded database has ended'));
    });
    this.#worker.on('message', (answer: Answer) => {
      const waiter = this.#waiters.get(answer.id);
      this.#waiters.delete(answer.id);
      if (answer.error === undefined) waiter?.resolve(answer.rows);
      else waiter?.reject(Object.assign(new Error(answer.error), { code: answer.code }));
    });
  }

  async ask(request: Request, limit: number): Promise<readonly Row[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = ++this.#asked;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolveRows, reject) => {
        this.#waiters.set(id, { resolve: resolveRows, reject });
        timer = setTimeout(() => {
          reject(new NoAnswer(limit));
        }, limit);
        this.#worker.postMessage({ id, request } satisfies Question);
      });
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(id);
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.values()) waiter.reject(this.#failure);
    this.#waiters.clear();
  }
}

/**
 * Postgres inside this process, on a thread of its own: it computes without a pause, and on the main thread the
 * progress and Ctrl-C would wait for every insert. A thread that cannot go on (the disk
 * is full, say), or does not answer, is given up: the next query starts
 * another one, which recovers what was written.
 */
export async function openEmbedded(directory: string): Promise<Database> {
  const unlock = await lockDirectory(directory);
  const postgres = resolve(directory, 'postgres');
  let opening: Promise<Session> | undefined;
  let closed = false;
  /** An insert that takes longer than this would otherwise be begun again for ever. */
  let limit = QUERY_TIMEOUT;
  /** Why the last session was given up, until another one is open. */
  let lost = '';

  async function open(): Promise<Session> {
    const session = new Session();
    try {
      await session.ask({ kind: 'open', directory: postgres }, OPEN_TIMEOUT);
      return session;
    } catch (error) {
      await session.end();
      throw error;
    }
  }

  async function query(sql: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    if (closed) throw new Error('the embedded database is closed');
    const current = (opening ??= open());
    try {
      const session = await current;
      const rows = await session.ask({ kind: 'query', sql, parameters }, limit);
      lost = '';
      return rows;
    } catch (error) {
      if (error instanceof NoAnswer) limit = Math.min(2 * limit, LONGEST_QUERY_TIMEOUT);
      if (!isAlive(error) && opening === current) {
        opening = undefined;
        if (lost === '') lost = (await diskFull(directory)) ?? reasonOf(error);
        void current.then((session) => session.end()).catch(() => undefined);
      }
      // The first reason is the cause of those that come after it.
      throw lost === '' ? error : new Error(lost);
    }
  }

  async function close(): Promise<void> {
    closed = true;
    const session = await withTimeout(
      opening?.catch(() => undefined),
      CLOSE_TIMEOUT,
    );
    await session?.ask({ kind: 'close' }, CLOSE_TIMEOUT).catch(() => undefined);
    await session?.end();
    await unlock();
  }

  opening = open();
  try {
    await opening;
  } catch (error) {
    await close();
    throw new Error(`cannot open the embedded database in ${directory}: ${reasonOf(error)}`, { cause: error });
  }
  return { name: `the embedded Postgres in ${directory}`, query, close };
}

/** Whether the database goes on after this error. Without room for its log, for instance, it never answers again. */
function isAlive(error: unknown): boolean {
  return !/^(53|57|58|XX)/.test(sqlStateOf(error) ?? 'XX');
}

/** Instead of what the database says of a full disk, which is not always about the disk. */
async function diskFull(directory: string): Promise<string | undefined> {
  const { bavail, bsize } = await statfs(directory).catch(() => ({ bavail: Infinity, bsize: 1 }));
  const free = bavail * bsize;
  return free > ROOM_NEEDED ? undefined : `the disk is full: ${Math.floor(free / 1024 / 1024)} MiB are left`;
}

/** `undefined` when it takes longer. */
async function withTimeout<T>(promise: Promise<T> | undefined, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolveLate) => {
    timer = setTimeout(resolveLate, milliseconds, undefined);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** On Node 20 a worker thread does not inherit the loader that lets this program run as TypeScript. */
function bootstrap(): string {
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const program = JSON.stringify(new URL('./embedded-worker.ts', import.meta.url).href);
  return `import(${loader}).then(({ tsImport }) => tsImport(${program}, ${program}))`;
}
