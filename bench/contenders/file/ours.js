import { readFileSync } from 'node:fs';
import { FileBatcher } from '../../lib/batch-please.js';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge, turn } from '../../lib/sink.js';

/** The files are counted until everything is stored, and read back after the clock was stopped. */
export const run = ({ n, perTurn, batchSize, integrity }, meter) =>
  inDirectory(async (batchDirectory) => {
    const reader = new Reader();
    let measured = false;
    let held = () => {};
    const holding = new Promise((resolve) => (held = resolve));
    const batcher = new FileBatcher({
      batchDirectory,
      maxBatchSize: batchSize,
      durability: 'none',
      integrity,
      highWaterMark: perTurn,
      batchFlush: async (batch) => {
        if (!measured) await holding;
        // The checksums, where there are any, stand in front of the line's end.
        reader.lines(readFileSync(batch.filename, 'utf8').replace(/\t[0-9a-f]{8}$/gm, ''));
      },
    });
    await batcher.open();
    meter.start();
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn) - 1; i < end; i++) batcher.addItem(itemOf(i));
      // Of the last one of the turn we wait until it is stored, and with it all before it.
      await batcher.syncAddItem(itemOf(i++));
      await turn();
    }
    meter.stop();
    measured = true;
    held();
    await batcher.close();
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
