import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sonicBoom from 'sonic-boom';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';

export const run = ({ n }, meter) =>
  inDirectory(async (directory) => {
    const path = join(directory, 'items');
    const stream = new sonicBoom.SonicBoom({ dest: path, minLength: 4096, sync: false });
    await once(stream, 'ready');
    meter.start();
    for (let i = 0; i < n; i++) {
      if (!stream.write(JSON.stringify(itemOf(i)) + '\n')) await once(stream, 'drain');
    }
    stream.end();
    await once(stream, 'close');
    meter.stop();
    const reader = new Reader();
    reader.lines(readFileSync(path, 'utf8'));
    return judge({ expected: n, ...reader });
  });
