import { open } from 'lmdb';
import { join } from 'node:path';
import { Reader, idOf, inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';
import { writers } from '../../lib/writers.js';

/** A put resolves when its transaction, which it shares with others, is committed and synced. */
export const run = ({ n, callers }, meter) =>
  inDirectory(async (directory) => {
    const store = open({ path: join(directory, 'items'), encoding: 'string', overlappingSync: false });
    meter.start();
    await writers({ n, callers }, (item) => store.put(idOf(item), JSON.stringify(item)));
    meter.stop();
    const reader = new Reader();
    for (const { value } of store.getRange()) reader.see(JSON.parse(value));
    await store.close();
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
