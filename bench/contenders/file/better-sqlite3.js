import Database from 'better-sqlite3';
import { join } from 'node:path';
import { Reader, inDirectory, itemOf } from '../../lib/files.js';
import { judge, turn } from '../../lib/sink.js';

export const run = ({ n, perTurn, batchSize }, meter) =>
  inDirectory(async (directory) => {
    const database = new Database(join(directory, 'items.db'));
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = OFF');
    database.exec('CREATE TABLE items (id INTEGER PRIMARY KEY, json TEXT NOT NULL)');
    const insert = database.prepare('INSERT INTO items (json) VALUES (?)');
    const insertAll = database.transaction((texts) => {
      for (const text of texts) insert.run(text);
    });
    meter.start();
    let texts = [];
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i++) {
        if (texts.push(JSON.stringify(itemOf(i))) === batchSize) {
          insertAll(texts);
          texts = [];
        }
      }
      await turn();
    }
    if (texts.length > 0) insertAll(texts);
    meter.stop();
    const reader = new Reader();
    for (const { json } of database.prepare('SELECT json FROM items ORDER BY id').iterate())
      reader.see(JSON.parse(json));
    database.close();
    return judge({ expected: n, ...reader });
  });
