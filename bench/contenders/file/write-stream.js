import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';

export const run = ({ n }, meter) =>
  inDirectory(async (directory) => {
    const path = join(directory, 'items');
    const stream = createWriteStream(path, { highWaterMark: 256 * 1024 });
    await once(stream, 'open');
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
