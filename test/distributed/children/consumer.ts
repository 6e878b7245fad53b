// Stores what it collects in a file, before it acknowledges. Arguments: servers, name, file.
import { appendFileSync, existsSync } from 'node:fs';
import { collect } from '../../../distributed/index.js';
import { JetStreamLog } from '../../../distributed/nats/index.js';
import { connectTo, number, say, sleep, told, type Item } from './common.js';

const [, , servers, name = '', file = ''] = process.argv;
const connection = await connectTo(servers);
const log = new JetStreamLog<Item>({
  connection,
  name,
  ackWait: number('ACK_WAIT', 2000),
  replicas: number('REPLICAS', 1),
});
const collecting = collect(log, {
  maxBatchSize: number('BATCH', 500),
  maxTimeSinceFirstItem: 100,
  maxDeliveries: 4,
  // The default waits for up to half a minute after a long outage.
  backoff: (attempt) => Math.min(2000, 200 * 2 ** (attempt - 1)),
  prefetch: number('PREFETCH', 16),
  async batchFlush({ items }) {
    const down = process.env['DOWN'];
    if (down !== undefined && existsSync(down)) throw new Error('the sink is down');
    if (items.some((item) => item.poison)) throw new Error('a bad row');
    appendFileSync(file, `${items.map(({ n }) => n).join('\n')}\n`);
    await sleep(number('SINK_MS', 10));
  },
});
collecting.batcher.on('failed', () => undefined);
say({ up: true });
await told('drain');
const { givenBack } = await collecting.close({ timeout: 20_000 });
say({ counts: collecting.counts, givenBack });
await connection.drain();
process.disconnect();
