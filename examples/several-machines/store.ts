// Collects chunks from the log, has them embedded by the hosts of the serving, and stores them. One process, as the embedded
// Postgres has one owner; with a server's Postgres there may be several.
import { collect } from 'batch-please/distributed';
import { RemoteServing } from 'batch-please/nats';
import { openEmbedded } from '../document-indexing/embedded.js';
import { chunkLog, connectToServer, say } from './common.js';

const [, , directory = '.data/several-machines'] = process.argv;
const connection = await connectToServer();
const database = await openEmbedded(directory);
await database.query(`CREATE TABLE IF NOT EXISTS chunks (
  id text PRIMARY KEY, path text NOT NULL, heading text NOT NULL, content text NOT NULL, embedding text NOT NULL)`);
async function report(): Promise<void> {
  const [row] = await database.query('SELECT count(*)::integer AS stored FROM chunks');
  say({ stored: row?.['stored'], done: row?.['stored'] });
}
// An earlier process may have stored everything.
await report();
const embedding = new RemoteServing<string, number[]>({ connection, name: 'embedding', maxAttempts: 20 });

const collecting = collect(chunkLog(connection), {
  maxBatchSize: 200,
  maxTimeSinceFirstItem: 50,
  async batchFlush({ items }) {
    const vectors = await embedding.dispatchMany(items.map(({ content }) => content));
    const column = (read: (index: number) => string): string[] => items.map((_, index) => read(index));
    await database.query(
      `INSERT INTO chunks SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       ON CONFLICT DO NOTHING`,
      [
        items.map(({ id }) => id),
        items.map(({ path }) => path),
        items.map(({ heading }) => heading),
        items.map(({ content }) => content),
        column((index) => JSON.stringify(vectors[index])),
      ],
    );
    await report();
  },
});
collecting.batcher.on('failed', ({ error }) => console.error('a batch failed, and is tried again:', String(error)));
say({ up: true });
process.once('SIGTERM', () => {
  void collecting
    .close()
    .then(() => database.close())
    .then(() => process.exit(0));
});
