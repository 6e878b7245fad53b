import { type Encoded, decode } from './errors.js';
import { THREAD_SOURCE } from './thread-source.js';
import type { Context } from '../partitions.js';
import { BatchError, messageOf } from '../../errors.js';
import { warn } from '../../events.js';

/** The part of Node's `Worker` that is used. */
interface NodeWorker {
  postMessage(message: unknown): void;
  on(event: string, listener: (value: never) => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

type WorkerClass = new (code: URL, options: Record<string, unknown>) => NodeWorker;

export interface Answer {
  results: unknown;
  errors: [index: number, error: Encoded][];
}

type Message = { id: number; key: string } & (
  { started: true } | { hook: string; list?: unknown[]; payload?: unknown } | Answer | { error: Encoded }
);

interface Running {
  hooks: Context['hooks'];
  /** Positions of the values that were sent, if some were not. */
  expand: (list: unknown[]) => unknown[];
  started: () => void;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

let threadUrl: URL | undefined;

/** The code of threads. Stack traces show its name instead of the code. */
function urlOfThreads(): URL {
  const code = `${THREAD_SOURCE}//# sourceURL=batch-please-thread`;
  return (threadUrl ??= new URL(`data:text/javascript,${encodeURIComponent(code)}`));
}

/** Node's module by a name that no bundler for browsers follows. */
export async function importWorkers(): Promise<WorkerClass> {
  const name: string = 'node:worker_threads';
  const { Worker } = (await import(name)) as { Worker: WorkerClass };
  return Worker;
}

export interface ThreadOptions {
  /** In messages: "the worker of partition 0 of Serving". */
  name: string;
  execArgv: readonly string[] | undefined;
  workerData: object;
}

/** A worker thread. It holds the process only while a batch runs on it. */
export class Thread {
  readonly #worker: NodeWorker;
  readonly #name: string;
  /** In every message of the thread, as messages of its own may come from the worker's module. */
  readonly #key = String(Math.random());
  readonly #running = new Map<number, Running>();
  #next = 0;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(Worker: WorkerClass, { name, execArgv, workerData }: ThreadOptions) {
    this.#name = name;
    const options = { workerData: { ...workerData, key: this.#key }, ...(execArgv !== undefined && { execArgv }) };
    this.#worker = new Worker(urlOfThreads(), options);
    this.#worker.on('message', (message: Message | null | undefined) => {
      if (message?.key === this.#key) this.#receive(message);
    });
    this.#worker.on('error', (error: unknown) => {
      if (!this.#ended) this.#failure = { error };
      // Its batches have until it exits: by then the answers are read that it had sent before.
      this.#ended = true;
    });
    this.#worker.on('messageerror', (error: unknown) => {
      this.#end(error);
      void this.terminate();
    });
    this.#worker.on('exit', (code: number) => {
      const failure = this.#failure;
      if (failure !== undefined && this.#running.size === 0) warn('BATCH_WORKER', `${name} is replaced`, failure.error);
      this.#end(failure === undefined ? new Error(`it ended with exit code ${String(code)}`) : failure.error);
    });
    this.#worker.unref();
  }

  /** It has died, or was terminated: another one is needed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether the batch still runs. */
  runs(id: number): boolean {
    return this.#running.has(id);
  }

  /** Throws `DataCloneError` if a value cannot be sent. */
  post(task: object, running: Running): number {
    const id = this.#next++;
    this.#worker.postMessage({ id, ...task });
    this.#running.set(id, running);
    this.#worker.ref();
    return id;
  }

  abort(id: number, reason: object): void {
    if (this.#running.has(id)) this.#worker.postMessage({ id, abort: reason });
  }

  async terminate(): Promise<void> {
    this.#end(new Error('it was terminated'));
    await this.#worker.terminate();
  }

  #receive(message: Message): void {
    const running = this.#running.get(message.id);
    if (running === undefined) return;
    if ('started' in message) running.started();
    else if ('hook' in message) useHook(running, message);
    else {
      this.#running.delete(message.id);
      if (this.#running.size === 0) this.#worker.unref();
      if ('error' in message) running.reject(decode(message.error));
      else running.resolve(message);
    }
  }

  #end(cause: unknown): void {
    this.#ended = true;
    this.#failure = undefined;
    this.#worker.unref();
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { reject } of running) reject(new BatchError(`${this.#name} died: ${messageOf(cause)}`, cause));
  }
}

/** The handler runs on: the failure of a hook cannot be thrown into it here. */
function useHook({ hooks, expand }: Running, { hook, list, payload }: Extract<Message, { hook: string }>): void {
  try {
    if (list === undefined) hooks[hook]?.all(payload);
    else hooks[hook]?.each(expand(list));
  } catch {
    // Its batch has ended meanwhile.
  }
}
