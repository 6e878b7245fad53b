import * as fs from 'node:fs';
import { LockedError } from '../../../../src/index.js';
import { type Durability, FileBatcher, type Integrity } from '../../../../collectors/file-batcher.js';

/** A process that is going to be killed. What was reported to it goes to descriptor 3, a file, which survives that. */
export interface Orders {
  directory: string;
  durability: Durability;
  integrity: Integrity;
  maxBatchSize: number;
  /** Of the first item. */
  first: number;
  /** How many it adds; `Infinity` is null in JSON, and means: until it is killed. */
  items: number | null;
  /** Over and over takes the directory and gives it back. */
  contend: boolean;
}

const orders = JSON.parse(process.argv[2] ?? '{}') as Orders;
process.removeAllListeners('warning');

function say(text: string): void {
  fs.writeSync(3, `${text}\n`);
}

export interface Thing {
  id: number;
  pad: string;
}

export function thingOf(id: number): Thing {
  return { id, pad: 'x'.repeat((id * 7919) % 90) };
}

function batcherOf({ directory, durability, integrity, maxBatchSize }: Orders): FileBatcher<Thing> {
  const batcher = new FileBatcher<Thing>({
    batchDirectory: directory,
    durability,
    integrity,
    maxBatchSize,
    syncInterval: 5,
    retry: { minDelay: 1, maxDelay: 5 },
    async batchFlush(batch) {
      const ids: number[] = [];
      for await (const { id, pad } of batch.items()) {
        if (pad !== thingOf(id).pad) say(`X item ${id} was changed`);
        ids.push(id);
      }
      say(`D ${batch.id} ${ids.join()}`);
    },
  });
  batcher.on('refused', () => undefined);
  batcher.on('failed', () => undefined);
  batcher.on('lost', ({ items }) => {
    say(`L ${items}`);
  });
  return batcher;
}

/** Real time: these processes run against each other, which no test clock can do. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function work(): Promise<void> {
  const batcher = batcherOf(orders);
  const count = orders.items ?? Infinity;
  for (let id = orders.first; id < orders.first + count;) {
    const group: Promise<void>[] = [];
    for (let size = 1 + (id % 3); size > 0 && id < orders.first + count; size--, id++) {
      const added = id;
      say(`A ${added}`);
      group.push(
        batcher.syncAddItem(thingOf(added)).then(
          () => {
            say(`S ${added}`);
          },
          (error: unknown) => {
            say(`R ${added} ${(error as Error).name}`);
          },
        ),
      );
    }
    await Promise.all(group);
    if (id % 5 === 0) void batcher.flush().catch(() => undefined);
    if (count === Infinity && id % 20 === 0) await pause(1);
  }
  await batcher.flush({ timeout: 3000 }).catch(() => undefined);
  await batcher.close({ timeout: 1000 }).catch(() => undefined);
  say('E');
}

async function contend(): Promise<void> {
  for (let round = 0; ; round++) {
    const batcher = batcherOf(orders);
    try {
      await batcher.open();
    } catch (error) {
      if (!(error instanceof LockedError)) say(`X ${process.pid} ${String(error)}`);
      await batcher.close().catch(() => undefined);
      await pause(2);
      continue;
    }
    say(`+ ${process.pid}`);
    for (let item = 0; item < 3; item++) {
      const id = process.pid * 100_000 + round * 3 + item;
      say(`A ${id}`);
      await batcher.syncAddItem(thingOf(id)).then(() => {
        say(`S ${id}`);
      });
    }
    await pause(round % 7);
    await batcher.flush();
    say(`- ${process.pid}`);
    await batcher.close();
    await pause(1);
  }
}

if (orders.contend) void contend();
else void work();
