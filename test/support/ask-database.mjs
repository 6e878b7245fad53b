// node ask-database.mjs <folder> <sql> <parameters as JSON>: prints the rows. The embedded database cannot be loaded by
// jest, and in a process of its own nothing of the server's life is left in it.
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';

const [, , folder, sql, parameters] = process.argv;
const postgres = await PGlite.create(folder, { extensions: { vector } });
const { rows } = await postgres.query(sql, JSON.parse(parameters));
process.stdout.write(JSON.stringify(rows));
await postgres.close();
