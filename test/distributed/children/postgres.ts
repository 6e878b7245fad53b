// Two collectors share a log on Postgres. PGlite loads itself in a way that jest's modules do not allow: hence a process.
import assert from 'node:assert/strict';
import { PGlite } from '@electric-sql/pglite';
import { collect, outbox } from '../../../distributed/index.js';
import { PostgresLog } from '../../../examples/postgres-log/postgres-log.js';
import { until } from '../support/time.js';
import { say } from './common.js';

say({ up: true });
const db = new PGlite();
const log = new PostgresLog<{ n: number }>((sql, values) => db.query(sql, values), 'q', 2000);
await log.open();
const out = outbox(log, { maxBatchSize: 100 });
for (let n = 0; n < 2000; n++) out.addItem({ n });
await out.close();
assert.deepEqual(await log.append([{ n: 0 }], 'same'), { duplicate: false });
assert.deepEqual(await log.append([{ n: 0 }], 'same'), { duplicate: true });
const stored: number[] = [];
let cured = false;
const collecting = [1, 2].map(() =>
  collect(log, {
    maxBatchSize: 500,
    maxTimeSinceFirstItem: 20,
    maxDeliveries: 3,
    batchFlush({ items }) {
      if (!cured && items.some(({ n }) => n === 777)) throw new Error('a bad row');
      stored.push(...items.map(({ n }) => n));
    },
  }),
);
for (const { batcher } of collecting) batcher.on('failed', () => undefined);
const left = async (table: string): Promise<number> =>
  (await db.query<{ count: number }>(`select count(*)::int as count from ${table}`)).rows[0]?.count ?? -1;
await until('the log is empty', async () => (await left('bp_frames')) === 0);
assert.equal(await left('bp_dead'), 1);
assert.equal(stored.length, 2000);
assert.equal(new Set(stored).size, 1999);
cured = true;
assert.equal(await log.redrive(), 1);
await until('it is delivered', () => stored.includes(777));
await Promise.all(collecting.map((one) => one.close()));
await db.close();
say({ passed: true });
process.disconnect();
