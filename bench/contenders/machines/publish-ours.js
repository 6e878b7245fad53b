import { jetstreamManager } from '@nats-io/jetstream';
import { outbox } from '../../../dist/esm/distributed/index.js';
import { JetStreamLog } from '../../../dist/esm/distributed/nats/index.js';
import { itemOf, withServer } from '../../lib/nats.js';

export const run = ({ n, frame, awaited }, meter) =>
  withServer(async ({ connection }) => {
    const log = new JetStreamLog({ connection, name: 'bench' });
    await log.open();
    const out = outbox(log, { maxBatchSize: frame, maxPending: 100_000 });
    meter.start();
    for (let i = 0; i < n; i++) {
      if (awaited) void out.deliverItem(itemOf(i));
      else if (out.state.pending < 50_000) out.addItem(itemOf(i));
      else await out.syncAddItem(itemOf(i));
      if (i % 10_000 === 9999) await new Promise(setImmediate);
    }
    await out.flush();
    meter.stop();
    const { delivered } = out.state.counts;
    const { messages } = (await (await jetstreamManager(connection)).streams.info('BP_bench')).state;
    await out.close();
    if (delivered !== n || messages < n / frame) return { failed: `${delivered} items in ${messages} frames` };
    return { count: n, rate: n / (meter.wall / 1e9) };
  });
