import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Database, Row } from './database.js';
import type { Answer, Question, Request } from './embedded-worker.js';
import { lockDirectory } from './lock.js';
import { reasonOf } from './printable.js';

interface Waiter {
  resolve(rows: readonly Row[]): void;
  reject(error: Error): void;
}

/**
 * Postgres inside this process, on a thread of its own: it computes without a pause, and on the main thread the
 * progress and Ctrl-C would wait for every insert.
 */
export async function openEmbedded(directory: string): Promise<Database> {
  const unlock = await lockDirectory(directory);
  const waiters = new Map<number, Waiter>();
  const worker = new Worker(bootstrap(), { eval: true });
  let asked = 0;

  let failure = new Error('the embedded database has ended');
  let running = true;
  worker.once('error', (error) => {
    failure = error;
  });
  worker.once('exit', () => {
    running = false;
    for (const waiter of waiters.values()) waiter.reject(failure);
    waiters.clear();
  });
  worker.on('message', (answer: Answer) => {
    const waiter = waiters.get(answer.id);
    waiters.delete(answer.id);
    if (answer.error === undefined) waiter?.resolve(answer.rows);
    else waiter?.reject(new Error(answer.error));
  });

  function ask(request: Request): Promise<readonly Row[]> {
    if (!running) return Promise.reject(failure);
    return new Promise((resolveRows, reject) => {
      const id = ++asked;
      waiters.set(id, { resolve: resolveRows, reject });
      worker.postMessage({ id, request } satisfies Question);
    });
  }

  async function close(): Promise<void> {
    await ask({ kind: 'close' }).catch(() => undefined);
    await worker.terminate();
    await unlock();
  }

  try {
    await ask({ kind: 'open', directory: resolve(directory, 'postgres') });
  } catch (error) {
    await close();
    throw new Error(`cannot open the embedded database in ${directory}: ${reasonOf(error)}`, { cause: error });
  }
  return {
    name: `the embedded Postgres in ${directory}`,
    query: (sql, parameters = []) => ask({ kind: 'query', sql, parameters }),
    close,
  };
}

/** On Node 20 a worker thread does not inherit the loader that lets this program run as TypeScript. */
function bootstrap(): string {
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const program = JSON.stringify(new URL('./embedded-worker.ts', import.meta.url).href);
  return `import(${loader}).then(({ tsImport }) => tsImport(${program}, ${program}))`;
}
