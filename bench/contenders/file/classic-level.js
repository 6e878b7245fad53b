import { ClassicLevel } from 'classic-level';
import { join } from 'node:path';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge, turn } from '../../lib/sink.js';

const keyOf = (id) => String(id).padStart(10, '0');

export const run = ({ n, perTurn, batchSize }, meter) =>
  inDirectory(async (directory) => {
    const level = new ClassicLevel(join(directory, 'items'));
    await level.open();
    meter.start();
    let batch = [];
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i++) {
        batch.push({ type: 'put', key: keyOf(i), value: JSON.stringify(itemOf(i)) });
        if (batch.length === batchSize) {
          await level.batch(batch);
          batch = [];
        }
      }
      await turn();
    }
    if (batch.length > 0) await level.batch(batch);
    meter.stop();
    const reader = new Reader();
    for await (const value of level.values()) reader.see(JSON.parse(value));
    await level.close();
    return judge({ expected: n, ...reader });
  });
