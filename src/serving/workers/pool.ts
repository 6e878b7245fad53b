import type { Context, Partitions } from '../partitions.js';
import { BatchError, messageOf } from '../../errors.js';
import { isError } from '../row.js';

/** The part of the pool that is used. */
interface Pool {
  run(task: unknown, options: { transferList: unknown[]; signal: AbortSignal }): Promise<unknown>;
  destroy(): Promise<void>;
}

type PoolClass = new (options: Record<string, unknown>) => Pool;

/** An error on its way over the border of threads. */
type Encoded =
  | { thrown: unknown }
  | { name: string; message: string; stack: string | undefined; fields: Record<string, unknown>; cause?: Encoded };

type Message =
  | { hook: string; list?: unknown[]; payload?: unknown }
  | { results: unknown; errors: [index: number, error: Encoded][] }
  | { error: Encoded };

/** How long a handler that was told to stop may take before its thread is ended, in milliseconds. */
const GRACE = 100;

/**
 * Partitions on threads of their own: one pool of one thread for each, so that a partition keeps its thread, and with it
 * its state, until the thread dies.
 */
export class ThreadPartitions implements Partitions {
  readonly #owner: string;
  readonly #url: string;
  readonly #execArgv: readonly string[] | undefined;
  readonly #runtimeOptions: unknown;
  readonly #pools = new Map<number | 'inline', Promise<Pool>>();

  constructor(owner: string, worker: string | URL, execArgv: readonly string[] | undefined, runtimeOptions: unknown) {
    this.#owner = owner;
    this.#url = String(worker);
    this.#execArgv = execArgv;
    this.#runtimeOptions = runtimeOptions;
  }

  /** Made and kept by the thread. */
  stateOf(): unknown {
    return undefined;
  }

  async handle(values: readonly unknown[], context: Context): Promise<unknown> {
    const { partition, inline, hooks, signal } = context;
    const key = inline ? 'inline' : partition;
    const pool = await this.#poolOf(key);
    const { port1, port2 } = new MessageChannel();
    const ending = new AbortController();
    let answer: (message: Exclude<Message, { hook: string }>) => void = () => undefined;
    const answered = new Promise<Exclude<Message, { hook: string }>>((resolve) => {
      answer = resolve;
    });
    port1.on('message', (data: unknown) => {
      const message = data as Message; // of our own code in the thread
      if (!('hook' in message)) answer(message);
      else tell(hooks, message);
    });
    let grace: ReturnType<typeof setTimeout> | undefined;
    const onAbort = (): void => {
      port1.postMessage(encode(signal.reason));
      grace = setTimeout(() => {
        ending.abort();
      }, GRACE);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      const init = { partition, runtimeOptions: this.#runtimeOptions, inline };
      const told = { partition, size: context.size, weight: context.weight, reason: context.reason };
      const rest = { attempt: context.attempt, runtimeOptions: context.runtimeOptions, inline };
      const task = {
        url: this.#url,
        init,
        context: { ...told, ...rest, hooks: Object.keys(hooks) },
        values,
        port: port2,
      };
      const died = pool.run(task, { transferList: [port2], signal: ending.signal }).then(
        () => answered,
        (error: unknown) => {
          if (isUncloneable(error)) throw error;
          const message = `the worker of partition ${partition} of ${this.#owner} died: ${messageOf(error)}`;
          throw new BatchError(message, error);
        },
      );
      return open(await Promise.race([answered, died]));
    } finally {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(grace);
      port1.close();
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#pools.values()].map(async (pool) => (await pool).destroy()));
  }

  #poolOf(key: number | 'inline'): Promise<Pool> {
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = this.#makePool();
      this.#pools.set(key, pool);
      pool.catch(() => this.#pools.delete(key));
    }
    return pool;
  }

  async #makePool(): Promise<Pool> {
    const Pool = await importPool();
    return new Pool({
      filename: threadFile(),
      minThreads: 1,
      maxThreads: 1,
      // Otherwise a thread that waits for its next batch would do nothing else, not even run its timers.
      atomics: 'disabled',
      ...(this.#execArgv !== undefined && { execArgv: this.#execArgv }),
    });
  }
}

async function importPool(): Promise<PoolClass> {
  try {
    // Not by its name as it is, or every bundler would want it, for whoever uses no threads too.
    const name: string = 'piscina';
    const { Piscina } = (await import(name)) as { Piscina: PoolClass };
    return Piscina;
  } catch (error) {
    throw new BatchError('partitions on worker threads take the package piscina: npm install piscina', error);
  }
}

/**
 * The path of the code that runs in the thread: the file `thread.cjs` beside this one. As ES modules and
 * CommonJS have no common word for where they are, the engine is asked where this function is.
 */
function threadFile(): string {
  const engine = Error as { prepareStackTrace?: unknown; stackTraceLimit: number };
  const { prepareStackTrace, stackTraceLimit } = engine;
  try {
    engine.stackTraceLimit = 1;
    engine.prepareStackTrace = (_error: unknown, sites: { getFileName(): string | null }[]) => sites[0]?.getFileName();
    const here = String((new Error() as { stack: unknown }).stack);
    return here.replace(/[?#].*$/, '').replace(/[^/\\]*$/, 'thread.cjs');
  } finally {
    engine.prepareStackTrace = prepareStackTrace;
    engine.stackTraceLimit = stackTraceLimit;
  }
}

/** A hook that fails here has nobody to tell: the handler has gone on. */
function tell(hooks: Context['hooks'], { hook, list, payload }: Extract<Message, { hook: string }>): void {
  try {
    if (list === undefined) hooks[hook]?.all(payload);
    else hooks[hook]?.each(list);
  } catch {
    // Its batch has ended meanwhile.
  }
}

function open(message: Exclude<Message, { hook: string }>): unknown {
  if ('error' in message) throw decode(message.error);
  const { results, errors } = message;
  if (Array.isArray(results)) for (const [index, error] of errors) results[index] = decode(error);
  return results;
}

function encode(error: unknown): Encoded {
  if (!isError(error)) return { thrown: String(error) };
  const { name, message, stack } = error as Error;
  return { name, message, stack, fields: { code: (error as { code?: unknown }).code } };
}

function decode(encoded: Encoded): unknown {
  if ('thrown' in encoded) return encoded.thrown;
  const { name, message, stack, fields, cause } = encoded;
  const error = new Error(message, cause === undefined ? undefined : { cause: decode(cause) });
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true });
  return Object.assign(error, fields);
}

function isUncloneable(error: unknown): boolean {
  return (error as { name?: unknown } | null)?.name === 'DataCloneError';
}
