// Cuts the documents of a directory into chunks and appends them to the log. A repetition of the whole run, for instance
// after kill -9, appends the same messages with the same ids, which the log stores once.
import { outbox } from 'batch-please/distributed';
import { markdownFiles, readDocument } from '../document-indexing/documents.js';
import { splitSections } from '../document-indexing/sections.js';
import { rowsOf } from '../document-indexing/section-table.js';
import { chunkLog, connectToServer, say, type Chunk } from './common.js';

const [, , directory = '.'] = process.argv;
const connection = await connectToServer();
const out = outbox<Chunk>(chunkLog(connection), { maxPending: 2000, overflow: 'wait' });
let chunks = 0;
for await (const path of markdownFiles(directory, (file, error) => console.error(file, error))) {
  for (const { id, heading, content } of rowsOf(path, splitSections(await readDocument(path)))) {
    await out.syncAddItem({ id, path, heading, content });
    chunks++;
  }
}
await out.close();
say({ chunks, done: chunks });
await connection.close();
process.exit(0);
