import { jetstreamManager } from '@nats-io/jetstream';
import { outbox } from '../../../dist/esm/distributed/index.js';
import { JetStreamLog } from '../../../dist/esm/distributed/nats/index.js';
import { itemOf, withServer } from '../../lib/nats.js';

/** Enough to fill all frames under way, 16 of 100. */
const PRODUCERS = 2000;

export const run = ({ n, frame, awaited }, meter) =>
  withServer(async ({ connection }) => {
    const log = new JetStreamLog({ connection, name: 'bench' });
    await log.open();
    const out = outbox(log, { maxBatchSize: frame, maxPending: 100_000 });
    meter.start();
    if (awaited) await Promise.all(Array.from({ length: PRODUCERS }, (_, first) => produce(out, first, n)));
    else await addAll(out, n);
    await out.flush();
    meter.stop();
    const { delivered } = out.state.counts;
    const { messages } = (await (await jetstreamManager(connection)).streams.info('BP_bench')).state;
    await out.close();
    if (delivered !== n || messages < n / frame) return { failed: `${delivered} items in ${messages} frames` };
    return { count: n, rate: n / (meter.wall / 1e9) };
  });

/** Adds its next item when the last one is stored. */
async function produce(out, first, n) {
  for (let i = first; i < n; i += PRODUCERS) await out.deliverItem(itemOf(i));
}

/** Adds without waiting while there is room. */
async function addAll(out, n) {
  for (let i = 0; i < n; i++) {
    if (out.state.pending < 50_000) out.addItem(itemOf(i));
    else await out.syncAddItem(itemOf(i));
    if (i % 10_000 === 9999) await new Promise(setImmediate);
  }
}
