import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge, turn } from '../../lib/sink.js';

const CHUNK = 64 * 1024;

export const run = ({ n, perTurn }, meter) =>
  inDirectory(async (directory) => {
    const path = join(directory, 'items');
    const file = openSync(path, 'a');
    let text = '';
    meter.start();
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i++) {
        text += JSON.stringify(itemOf(i)) + '\n';
        if (text.length >= CHUNK) {
          writeSync(file, text);
          text = '';
        }
      }
      await turn();
    }
    writeSync(file, text);
    closeSync(file);
    meter.stop();
    const reader = new Reader();
    reader.lines(readFileSync(path, 'utf8'));
    return judge({ expected: n, ...reader });
  });
