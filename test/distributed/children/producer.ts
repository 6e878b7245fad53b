// Appends the items from `from` to `to`. Arguments: servers, name, from, to, and a folder if its outbox is to be on disk.
import { FileBatcher } from '../../../collectors/index.js';
import { outbox } from '../../../distributed/index.js';
import { JetStreamLog } from '../../../distributed/nats/index.js';
import { connectTo, itemOf, number, say, sleep, type Item } from './common.js';

const [, , servers, name = '', from = '0', to = '0', batchDirectory] = process.argv;
const connection = await connectTo(servers);
const log = new JetStreamLog<Item>({ connection, name, replicas: number('REPLICAS', 1) });
say({ up: true });
await (batchDirectory === undefined ? fromMemory() : fromDisk(batchDirectory));
say({ done: true });
await connection.close();
process.disconnect();

async function fromMemory(): Promise<void> {
  const out = outbox(log, { maxBatchSize: 100, maxPending: 5000, flushConcurrency: 8 });
  out.on('failed', () => undefined);
  for (let n = Number(from); n < Number(to); n++) {
    const stored = out.deliverItem(itemOf(n));
    if (n % 1000 !== 999) continue;
    await stored;
    say({ acknowledged: n + 1 });
    await sleep(number('PACE', 20));
  }
  await out.close();
}

async function fromDisk(directory: string): Promise<void> {
  let duplicates = 0;
  const out = new FileBatcher<Item>({
    batchDirectory: directory,
    maxBatchSize: 100,
    maxTimeSinceFirstItem: 20,
    flushConcurrency: 4,
    retry: { minDelay: 50, maxDelay: 1000 },
    async batchFlush(batch, { id }) {
      const items: Item[] = [];
      for await (const item of batch.items()) items.push(item);
      if ((await log.append(items, id)).duplicate) duplicates++;
    },
  });
  out.on('failed', () => undefined);
  say({ recovered: (await out.open()).items });
  for (let n = Number(from); n < Number(to); n++) {
    await out.syncAddItem(itemOf(n));
    if (n % 100 !== 99) continue;
    say({ acknowledged: n + 1 });
    await sleep(number('PACE', 0));
  }
  await out.close();
  say({ duplicates });
}
