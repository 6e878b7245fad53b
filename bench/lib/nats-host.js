// A host of the serving cases, alone in its process: answers bare requests, or is a ServingHost.
import { connect } from '@nats-io/transport-node';
import { BatchServing } from '../../dist/esm/src/index.js';
import { ServingHost } from '../../dist/esm/distributed/nats/index.js';

const [, , url, text] = process.argv;
const { bare, fix = 0, per = 0, batchSize = 256 } = JSON.parse(text);
const connection = await connect({ servers: url });
const wait = (values) => (fix === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, fix + per * values)));
if (bare) {
  connection.subscribe('bench', {
    callback: (_, message) => message.respond(JSON.stringify(message.json() * 2)),
  });
} else {
  const serving = new BatchServing({
    batchSize,
    batchTimeout: 0,
    async handleBatch(values) {
      await wait(values.length);
      return values.map((value) => value * 2);
    },
  });
  await new ServingHost({ connection, name: 'bench', serving }).open();
}
await connection.flush();
process.send('up');
