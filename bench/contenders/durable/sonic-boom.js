import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sonicBoom from 'sonic-boom';
import { Reader, inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';
import { writers } from '../../lib/writers.js';

/** It syncs after each write but tells of it by the flush callback only: one flush for what gathers within a turn. */
export const run = ({ n, callers }, meter) =>
  inDirectory(async (directory) => {
    const path = join(directory, 'items');
    const stream = new sonicBoom.SonicBoom({ dest: path, fsync: true, minLength: 8192, sync: false });
    await once(stream, 'ready');
    let resolves = [];
    let busy = false;
    function commit() {
      const settle = resolves;
      resolves = [];
      stream.flush((error) => {
        if (error) throw error;
        for (const resolve of settle) resolve();
        setImmediate(() => {
          if (resolves.length > 0) commit();
          else busy = false;
        });
      });
    }
    const store = (item) =>
      new Promise((resolve) => {
        stream.write(JSON.stringify(item) + '\n');
        resolves.push(resolve);
        if (!busy) {
          busy = true;
          setImmediate(commit);
        }
      });
    meter.start();
    await writers({ n, callers }, store);
    meter.stop();
    stream.end();
    await once(stream, 'close');
    const reader = new Reader();
    reader.lines(readFileSync(path, 'utf8'));
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
