// A machine that computes embeddings. Start as many as there are processors for it.
import { BatchServing } from 'batch-please';
import { ServingHost } from 'batch-please/nats';
import { embed } from '../document-indexing/live/hashed-embedding.js';
import { connectToServer, say } from './common.js';

const connection = await connectToServer();
const serving = new BatchServing({
  batchSize: 64,
  batchTimeout: 0,
  handleBatch: (texts: readonly string[]) => texts.map((text) => [...embed(text)]),
});
const host = new ServingHost({ connection, name: 'embedding', serving });
await host.open();
let done = 0;
serving.on('executed', ({ size }) => say({ done: (done += size) }));
say({ up: true });
process.once('SIGTERM', () => {
  void host.close().then(() => process.exit(0));
});
