import { readFileSync } from 'node:fs';
import { FileBatcher } from '../../lib/batch-please.js';
import { Reader, inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';
import { writers } from '../../lib/writers.js';

export const run = ({ n, callers, batchSize, integrity }, meter) =>
  inDirectory(async (batchDirectory) => {
    const reader = new Reader();
    let held = () => {};
    const holding = new Promise((resolve) => (held = resolve));
    const batcher = new FileBatcher({
      batchDirectory,
      maxBatchSize: batchSize,
      durability: 'item',
      integrity,
      batchFlush: async (batch) => {
        await holding;
        reader.lines(readFileSync(batch.filename, 'utf8').replace(/\t[0-9a-f]{8}$/gm, ''));
      },
    });
    await batcher.open();
    meter.start();
    await writers({ n, callers }, (item) => batcher.syncAddItem(item));
    meter.stop();
    held();
    await batcher.close();
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
