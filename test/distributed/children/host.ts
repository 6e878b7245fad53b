// Doubles numbers, 64 at a time. Arguments: servers, name, id.
import { BatchServing } from '../../../src/index.js';
import { ServingHost } from '../../../distributed/nats/index.js';
import { connectTo, number, say, sleep, told } from './common.js';

const [, , servers, name = '', id] = process.argv;
const connection = await connectTo(servers);
let values = 0;
const serving = new BatchServing({
  batchSize: number('BATCH', 64),
  batchTimeout: 0,
  hooks: process.env['HOOKS'] === undefined ? [] : ['progress'],
  async handleBatch(list: readonly number[], context) {
    values += list.length;
    await sleep(number('FIX', 20) + number('PER', 0) * list.length);
    (context.hooks as Partial<typeof context.hooks>)['progress']?.all(id);
    return list.map((value) => value * 2);
  },
});
const host = new ServingHost({ connection, name, serving, id, maxPending: number('MAX_PENDING', Infinity) });
await host.open();
say({ up: true });
process.on('message', (message) => {
  if (message === 'count') say({ values });
});
await told('drain');
await host.close();
say({ values });
await connection.drain();
process.disconnect();
