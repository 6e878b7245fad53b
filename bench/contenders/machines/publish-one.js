import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { itemOf, withServer } from '../../lib/nats.js';

/** One item a message, 1,000 under way. */
export const run = ({ n }, meter) =>
  withServer(async ({ connection }) => {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'bench', subjects: ['bench'] });
    const client = jetstream(connection);
    meter.start();
    let next = 0;
    const worker = async () => {
      while (next < n) await client.publish('bench', JSON.stringify(itemOf(next++)));
    };
    await Promise.all(Array.from({ length: 1000 }, worker));
    meter.stop();
    const { messages } = (await manager.streams.info('bench')).state;
    return messages === n ? { count: n, rate: n / (meter.wall / 1e9) } : { failed: `${messages} of ${n} are stored` };
  });
