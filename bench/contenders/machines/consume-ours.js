import { collect } from '../../../dist/esm/distributed/index.js';
import { withServer } from '../../lib/nats.js';
import { filledLog, Tally } from './frames.js';

export const run = (params, meter) =>
  withServer(async ({ connection }) => {
    const log = await filledLog(connection, params);
    const { n, frame } = params;
    const tally = new Tally();
    meter.start();
    const collecting = collect(log, {
      maxBatchSize: 1000,
      maxTimeSinceFirstItem: 20,
      batchFlush: ({ items }) => tally.see(items),
    });
    while (collecting.counts.acked < n / frame) await new Promise((resolve) => setTimeout(resolve, 1));
    meter.stop();
    await collecting.close();
    return tally.judge(n, { rate: n / (meter.wall / 1e9) });
  });
