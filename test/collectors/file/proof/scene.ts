import cluster from 'node:cluster';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { FileBatcher, type FileBatcherOptions } from '../../../../collectors/file-batcher.js';

// What a process does that the operating system limits, or that shares a directory. Its last words are one line of JSON.

/** Which scene, and what it needs; all of them have a directory. */
export interface Orders {
  readonly scene: 'backlog' | 'fileLimit' | 'hungSync' | 'cluster' | 'threads' | 'open' | 'own';
  readonly directory: string;
  readonly items?: number;
  readonly size?: number;
  /** A name; the syncs of the shim hang while it exists. */
  readonly hang?: string;
}

const orders = (isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData) as Orders;
process.removeAllListeners('warning');

function batcherOf(
  directory: string,
  delivered: number[],
  options: Partial<FileBatcherOptions<number>> = {},
): FileBatcher<number> {
  const batcher = new FileBatcher<number>({
    batchDirectory: directory,
    syncInterval: 5,
    retry: { minDelay: 5, maxDelay: 20 },
    async batchFlush(batch) {
      const items: number[] = [];
      for await (const item of batch.items()) items.push(item);
      delivered.push(...items);
    },
    ...options,
  });
  for (const event of ['refused', 'failed', 'unowned', 'unsynced', 'rescued', 'lost'] as const) {
    batcher.on(event, () => undefined);
  }
  return batcher;
}

function say(words: unknown): void {
  fs.writeSync(1, `${JSON.stringify(words)}\n`);
}

/** Of a rejection; `undefined` of a promise that resolves. */
async function nameOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    const { name, message } = error as Error;
    return `${name}: ${message}`;
  }
}

/** Real time: the other side is another process, a thread or a disk. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(2);
}

function descriptors(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

/** Many batches wait for a sink that is down, and then it returns. */
async function backlog({ directory, items = 0, size = 1 }: Orders): Promise<void> {
  let down = true;
  const delivered: number[] = [];
  let refused = 0;
  const batcher = batcherOf(directory, delivered, {
    maxBatchSize: size,
    // Tried rarely: what is asked is what waits, and not what fails.
    retry: { minDelay: 100, maxDelay: 100 },
    async batchFlush(batch) {
      if (down) throw new Error('the sink is down');
      for await (const item of batch.items()) delivered.push(item);
    },
  });
  batcher.on('refused', () => {
    refused++;
  });
  const waiting: number[] = [];
  const heap: number[] = [];
  for (let item = 0; item < items; item++) {
    if (item % 1000 === 999) await batcher.syncAddItem(item).catch(() => undefined);
    else batcher.addItem(item);
    if (item % Math.floor(items / 10) === 0) {
      waiting.push(descriptors());
      (globalThis as { gc?: () => void }).gc?.();
      heap.push(Math.round(process.memoryUsage().heapUsed / 1e6));
    }
  }
  const { pending } = batcher.state;
  fs.closeSync(fs.openSync('/etc/hosts', 'r')); // so can all other code of the process
  down = false;
  await batcher.flush();
  await batcher.close();
  const { spool } = batcher.state;
  say({ refused, pending, waiting, heap, delivered: delivered.length, distinct: new Set(delivered).size, spool });
}

/** Files may not become larger than a limit of the operating system. */
async function fileLimit({ directory, items = 0 }: Orders): Promise<void> {
  const stored: number[] = [];
  const refused: number[] = [];
  const delivered: number[] = [];
  const errors = new Set<string>();
  const batcher = batcherOf(directory, delivered, { encode: (item) => `${item}${' '.repeat(1000)}` });
  for (let item = 0; item < items; item++) {
    await batcher.syncAddItem(item).then(
      () => stored.push(item),
      (error: unknown) => {
        refused.push(item);
        errors.add((error as Error).name);
      },
    );
  }
  const files = fs.readdirSync(directory).filter((name) => name.endsWith('.batch')).length;
  await batcher.flush();
  await batcher.close();
  say({ stored, refused, delivered, errors: [...errors], files, spool: batcher.state.spool });
}

/** The syncs of one directory never end. */
async function hungSync({ directory, hang = '' }: Orders): Promise<void> {
  const delivered: number[] = [];
  const bad = ['bad-1', 'bad-2'].map((name) => batcherOf(join(directory, name), [], { durability: 'item' }));
  const good = batcherOf(join(directory, 'good'), delivered, { durability: 'item' });
  await Promise.all([...bad, good].map((batcher) => batcher.open()));
  fs.writeFileSync(hang, '');
  const told = bad.map((batcher, item) => nameOf(batcher.syncAddItem(item)));
  await until(() => fs.existsSync(`${hang}.reached`));
  // The others are stored and delivered while the syncs hang.
  for (let item = 0; item < 20; item++) await good.syncAddItem(item);
  await good.flush();
  await good.close();
  const start = performance.now();
  const closed = await Promise.all(bad.map((batcher) => nameOf(batcher.close({ timeout: 300 }))));
  const took = performance.now() - start;
  say({ delivered, closed, told: await Promise.all(told), took, hung: fs.existsSync(hang) });
  // A thread that hangs in the kernel would be waited for by an orderly end.
  process.kill(process.pid, 'SIGKILL');
}

/** A worker of a cluster disconnects, and goes on for a while; then its lock's name is removed. */
async function clusterPrimary({ directory }: Orders): Promise<void> {
  const delivered: number[] = [];
  const worker = cluster.fork();
  const words: string[] = [];
  worker.process.stdout?.on('data', () => undefined);
  worker.on('message', (word: string) => words.push(word));
  await until(() => words.includes('begun'));
  worker.disconnect();
  await until(() => fs.existsSync(`${directory}.disconnected`));
  const second = await nameOf(batcherOf(directory, delivered).open());
  // What an operator may do. The owner is stopped meanwhile, or it would take the lock again before another process can.
  process.kill(worker.process.pid ?? 0, 'SIGSTOP');
  for (const name of fs.readdirSync(directory)) {
    if (name.startsWith('lock.')) fs.rmSync(join(directory, name));
  }
  const other = batcherOf(directory, delivered);
  await other.open();
  fs.writeFileSync(`${directory}.taken`, '');
  process.kill(worker.process.pid ?? 0, 'SIGCONT');
  await new Promise((resolve) => worker.process.once('exit', resolve));
  await other.flush();
  await other.close();
  const said = fs.readFileSync(`${directory}.log`, 'utf8').trim().split('\n');
  const stored = said.filter((line) => line.startsWith('S ')).map((line) => Number(line.slice(2)));
  const late = said.slice(said.indexOf('taken')).filter((line) => line.startsWith('S ')).length;
  const unowned = said.filter((line) => line === 'unowned').length;
  const lost = stored.filter((item) => !delivered.includes(item));
  say({ second, stored: stored.length, lost, late, unowned });
}

async function clusterWorker({ directory }: Orders): Promise<void> {
  const log = (line: string): void => {
    fs.appendFileSync(`${directory}.log`, `${line}\n`);
  };
  const batcher = batcherOf(directory, [], { maxBatchSize: 1000 });
  batcher.on('unowned', () => {
    log('unowned');
  });
  process.on('disconnect', () => {
    fs.writeFileSync(`${directory}.disconnected`, '');
  });
  let taken = false;
  for (let item = 0, after = 0; after < 20; item++) {
    await batcher.syncAddItem(item).then(
      () => {
        log(`S ${item}`);
      },
      () => undefined,
    );
    if (item === 10) process.send?.('begun');
    if (!taken && fs.existsSync(`${directory}.taken`)) {
      taken = true;
      log('taken'); // every add from here on begins when another process is the owner
    }
    if (taken) after++;
    await pause(1);
  }
  await batcher.close({ flush: false, timeout: 100 }).catch(() => undefined);
  process.exit();
}

/** A directory is owned by a thread, which ends without a word. */
async function threads(given: Orders): Promise<void> {
  if (!isMainThread) {
    const batcher = batcherOf(given.directory, [], { maxBatchSize: 1000 });
    for (let item = 0; item < 10; item++) await batcher.syncAddItem(item);
    parentPort?.postMessage('stored');
    setInterval(() => undefined, 1000); // it lives until it is ended
    return;
  }
  const delivered: number[] = [];
  const thread = new Worker(__filename, { workerData: given });
  await new Promise((resolve) => thread.once('message', resolve));
  const second = await nameOf(batcherOf(given.directory, delivered).open());
  await thread.terminate();
  const other = batcherOf(given.directory, delivered);
  await other.open();
  await other.flush();
  await other.close();
  say({ second, delivered });
}

const SCENES = {
  backlog,
  fileLimit,
  hungSync,
  threads,
  cluster: cluster.isPrimary ? clusterPrimary : clusterWorker,
  async open({ directory }: Orders): Promise<void> {
    say({ opened: (await nameOf(batcherOf(directory, []).open())) ?? 'opened' });
    process.exit();
  },
  /** Takes the directory, and is killed. */
  async own({ directory }: Orders): Promise<void> {
    await batcherOf(directory, []).open();
    say('owned');
    setInterval(() => undefined, 1000);
  },
} satisfies Record<Orders['scene'], (orders: Orders) => Promise<void>>;

void SCENES[orders.scene](orders);
