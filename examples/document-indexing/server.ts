import { setTimeout } from 'node:timers/promises';
import type { Database } from './database.js';
import { reasonOf } from './printable.js';

export async function connectServer(url: URL): Promise<Database> {
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({
    connectionString: url.href,
    application_name: 'document-indexing',
    max: 2,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    // A server that vanished without a word must not hold a batch for ever; a repeated insert changes nothing.
    query_timeout: 30_000,
    allowExitOnIdle: true,
  });
  // A connection that breaks while idle needs nothing: the pool has dropped it, and the next query opens another.
  pool.on('error', () => undefined);
  const name = `Postgres at ${url.host || 'the local socket'}${url.pathname}`;
  const query: Database['query'] = async (sql, parameters = []) =>
    (await pool.query<Record<string, unknown>>(sql, [...parameters])).rows;
  try {
    const [row] = await query('SHOW server_encoding');
    if (row?.['server_encoding'] !== 'UTF8') throw new Error('its encoding is not UTF8, which documents need');
  } catch (error) {
    await pool.end();
    throw new Error(`cannot use ${name}: ${reasonOf(error)}`, { cause: error });
  }
  // The pool ends when the last query has, which on a server that does not answer takes until that times out.
  const close = (): Promise<void> => Promise.race([pool.end(), setTimeout(1_000, undefined, { ref: false })]);
  return { name, query, close };
}
