/**
 * The figures in the README's "Why": rows into an embedded Postgres behind a TCP socket, one `await` a row, and batched.
 *
 *     npx tsx bench/why.ts [rows]
 */
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';
import { MemoryBatcher } from '../collectors/memory-batcher.js';

interface Row {
  id: string;
  value: number;
}

const ROUNDS = 3;
const rows: Row[] = Array.from({ length: Number(process.argv[2] ?? 10_000) }, (_, i) => ({ id: `r${i}`, value: i }));

const database = await PGlite.create();
const server = new PGLiteSocketServer({ db: database, port: 54_329, host: '127.0.0.1' });
await server.start();
const client = new pg.Client({ host: '127.0.0.1', port: 54_329, user: 'postgres', database: 'postgres' });
await client.connect();
await client.query('CREATE TABLE readings (id text PRIMARY KEY, value float8)');

async function oneByOne(): Promise<void> {
  for (const { id, value } of rows) await client.query('INSERT INTO readings VALUES ($1, $2)', [id, value]);
}

async function batched(): Promise<void> {
  const batcher = new MemoryBatcher<Row>({
    maxBatchSize: 1000,
    batchFlush: ({ items }) =>
      client.query('INSERT INTO readings SELECT * FROM unnest($1::text[], $2::float8[])', [
        items.map(({ id }) => id),
        items.map(({ value }) => value),
      ]),
  });
  for (const row of rows) await batcher.syncAddItem(row);
  await batcher.close();
}

/** Milliseconds, with the rows counted afterwards. */
async function time(insert: () => Promise<void>): Promise<number> {
  await client.query('TRUNCATE readings');
  const start = performance.now();
  await insert();
  const duration = performance.now() - start;
  const { rows: counted } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM readings');
  if (counted[0]?.n !== rows.length) throw new Error(`${String(counted[0]?.n)} rows instead of ${rows.length}`);
  return duration;
}

for (let round = 1; round <= ROUNDS; round++) {
  const [loop, batches] = [await time(oneByOne), await time(batched)];
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  console.log(
    `${rows.length} rows: ${seconds(loop)} one by one, ${seconds(batches)} batched, ${(loop / batches).toFixed(0)} times`,
  );
}
await client.end();
await server.stop();
await database.close();
