import { open } from 'lmdb';
import { join } from 'node:path';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge, turn } from '../../lib/sink.js';

export const run = ({ n, perTurn }, meter) =>
  inDirectory(async (directory) => {
    const store = open({ path: join(directory, 'items'), noSync: true, encoding: 'string' });
    meter.start();
    for (let i = 0; i < n;) {
      let last;
      for (const end = Math.min(n, i + perTurn); i < end; i++) last = store.put(i, JSON.stringify(itemOf(i)));
      await last;
      await turn();
    }
    meter.stop();
    const reader = new Reader();
    for (const { value } of store.getRange()) reader.see(JSON.parse(value));
    await store.close();
    return judge({ expected: n, ...reader });
  });
