import { closeSync, fdatasync, openSync, readFileSync, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Reader, inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';
import { writers } from '../../lib/writers.js';

const writeTo = promisify(write);
const sync = promisify(fdatasync);

/** Group commit by hand: what arrives while one write and its sync run is in the next. */
export const run = ({ n, callers }, meter) =>
  inDirectory(async (directory) => {
    const path = join(directory, 'items');
    const file = openSync(path, 'a');
    let text = '';
    let resolves = [];
    let busy = false;
    async function commit() {
      while (resolves.length > 0) {
        const chunk = text;
        const settle = resolves;
        text = '';
        resolves = [];
        await writeTo(file, chunk);
        await sync(file);
        for (const resolve of settle) resolve();
        // Those who were waiting add their next items first.
        await new Promise((resolve) => setImmediate(resolve));
      }
      busy = false;
    }
    const store = (item) =>
      new Promise((resolve) => {
        text += JSON.stringify(item) + '\n';
        resolves.push(resolve);
        if (!busy) {
          busy = true;
          setImmediate(commit);
        }
      });
    meter.start();
    await writers({ n, callers }, store);
    meter.stop();
    closeSync(file);
    const reader = new Reader();
    reader.lines(readFileSync(path, 'utf8'));
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
