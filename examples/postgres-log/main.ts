// Two collectors share a log on the embedded Postgres; one row of 1,000 is poison, and is delivered once it is cured.
import { PGlite } from '@electric-sql/pglite';
import { collect, outbox } from 'batch-please/distributed';
import { PostgresLog } from './postgres-log.js';

interface Order {
  id: number;
}

const db = new PGlite();
const log = new PostgresLog<Order>((sql, values) => db.query(sql, values), 'orders');
await log.open();

const producer = outbox(log, { maxBatchSize: 100 });
for (let id = 1; id <= 1_000; id += 1) producer.addItem({ id });
await producer.close();
console.log('1,000 orders are in the log');

let cured = false;
const stored = new Set<number>();
const [ann, bob] = ['ann', 'bob'].map((name) => {
  const collecting = collect(log, {
    maxBatchSize: 250,
    maxTimeSinceFirstItem: 50,
    maxDeliveries: 3,
    batchFlush: ({ items }) => {
      if (!cured && items.some(({ id }) => id === 777)) throw new Error('777 is out of range');
      for (const { id } of items) stored.add(id);
      if (items.length > 1) console.log(`  ${name} stored ${items.length}`);
    },
  });
  // Each attempt with the poison in it; the collector divides the batch until it has found the one.
  collecting.batcher.on('failed', () => undefined);
  return collecting;
});

await until(async () => (await left('bp_frames')) === 0);
console.log(`${stored.size} are stored, ${await left('bp_dead')} is set aside`);
cured = true;
console.log(`the cause is cured: ${await log.redrive()} is put back`);
await until(async () => Promise.resolve(stored.has(777)));
console.log(`${stored.size} are stored`);
await Promise.all([ann?.close(), bob?.close()]);
await db.close();

async function left(table: 'bp_frames' | 'bp_dead'): Promise<number> {
  const { rows } = await db.query<{ count: number }>(`select count(*)::int as count from ${table}`);
  return rows[0]?.count ?? 0;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
}
