import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { withServer } from '../../lib/nats.js';
import { filledLog, Tally } from './frames.js';

/** Fetches frames, parses them as one, and acknowledges each without waiting for the server. */
export const run = (params, meter) =>
  withServer(async ({ connection }) => {
    await filledLog(connection, params);
    const { n, frame } = params;
    const durable_name = 'raw';
    const manager = await jetstreamManager(connection);
    await manager.consumers.add('BP_bench', { durable_name, ack_policy: AckPolicy.Explicit, max_ack_pending: 1000 });
    const consumer = await jetstream(connection).consumers.get('BP_bench', durable_name);
    const tally = new Tally();
    meter.start();
    for (let frames = 0; frames < n / frame;) {
      for await (const message of await consumer.fetch({ max_messages: 64, expires: 1000 })) {
        tally.see(JSON.parse(`[${message.string().replaceAll('\n', ',')}]`));
        message.ack();
        // A fetch that is not full would wait for its time.
        if (++frames === n / frame) break;
      }
    }
    await connection.flush();
    meter.stop();
    return tally.judge(n, { rate: n / (meter.wall / 1e9) });
  });
