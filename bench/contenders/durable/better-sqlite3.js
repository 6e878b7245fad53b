import Database from 'better-sqlite3';
import { join } from 'node:path';
import { Reader, inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';
import { writers } from '../../lib/writers.js';

/** It is synchronous and does not group; what gathers within a turn is put into one transaction, by hand. */
export const run = ({ n, callers }, meter) =>
  inDirectory(async (directory) => {
    const database = new Database(join(directory, 'items.db'));
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.exec('CREATE TABLE items (id INTEGER PRIMARY KEY, json TEXT NOT NULL)');
    const insert = database.prepare('INSERT INTO items (json) VALUES (?)');
    const insertAll = database.transaction((texts) => {
      for (const text of texts) insert.run(text);
    });
    let texts = [];
    let resolves = [];
    const store = (item) =>
      new Promise((resolve) => {
        texts.push(JSON.stringify(item));
        if (resolves.push(resolve) > 1) return;
        setImmediate(() => {
          insertAll(texts);
          const settle = resolves;
          texts = [];
          resolves = [];
          for (const one of settle) one();
        });
      });
    meter.start();
    await writers({ n, callers }, store);
    meter.stop();
    const reader = new Reader();
    for (const { json } of database.prepare('SELECT json FROM items ORDER BY id').iterate())
      reader.see(JSON.parse(json));
    database.close();
    return judge({ expected: n, ...reader }, { rate: n / (meter.wall / 1e9) });
  });
