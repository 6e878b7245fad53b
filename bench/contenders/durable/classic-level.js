import { ClassicLevel } from 'classic-level';
import { join } from 'node:path';
import { Reader, idOf, inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';
import { writers } from '../../lib/writers.js';

/** What gathers while one synced batch is written is the next one, by hand: a put alone would wait for its own sync. */
export const run = ({ n, callers }, meter) =>
  inDirectory(async (directory) => {
    const level = new ClassicLevel(join(directory, 'items'));
    await level.open();
    let batch = [];
    let resolves = [];
    let busy = false;
    async function commit() {
      while (batch.length > 0) {
        const puts = batch;
        const settle = resolves;
        batch = [];
        resolves = [];
        await level.batch(puts, { sync: true });
        for (const resolve of settle) resolve();
        await new Promise((resolve) => setImmediate(resolve));
      }
      busy = false;
    }
    const store = (item) =>
      new Promise((resolve) => {
        batch.push({ type: 'put', key: String(idOf(item)).padStart(10, '0'), value: JSON.stringify(item) });
        resolves.push(resolve);
        if (!busy) {
          busy = true;
          setImmediate(commit);
        }
      });
    meter.start();
    await writers({ n, callers }, store);
    meter.stop();
    const reader = new Reader();
    for await (const value of level.values()) reader.see(JSON.parse(value));
    await level.close();
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
