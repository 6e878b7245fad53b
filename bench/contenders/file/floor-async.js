import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge, turn } from '../../lib/sink.js';

const CHUNK = 256 * 1024;

/** Lines gather in a string; 256 KiB of it are written at a time, while the next gather. */
export const run = ({ n, perTurn }, meter) =>
  inDirectory(async (directory) => {
    const path = join(directory, 'items');
    const file = await open(path, 'a');
    let text = '';
    let writing = Promise.resolve();
    meter.start();
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i++) {
        text += JSON.stringify(itemOf(i)) + '\n';
        if (text.length >= CHUNK) {
          const chunk = text;
          text = '';
          writing = writing.then(() => file.write(chunk));
        }
      }
      await turn();
      // Not more than a turn's worth waits.
      await writing;
    }
    await writing;
    await file.write(text);
    await file.close();
    meter.stop();
    const reader = new Reader();
    reader.lines(readFileSync(path, 'utf8'));
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
