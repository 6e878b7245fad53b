import { parentPort } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import type { Row } from './database.js';
import { reasonOf } from './printable.js';
import { sqlStateOf } from './sql-state.js';

export type Request =
  | { kind: 'open'; directory: string }
  | { kind: 'query'; sql: string; parameters: readonly unknown[] }
  | { kind: 'close' };

export interface Question {
  id: number;
  request: Request;
}

export type Answer =
  { id: number; rows: readonly Row[]; error?: undefined } | { id: number; error: string; code: string | undefined };

let postgres: PGlite | undefined;

async function answer(request: Request): Promise<readonly Row[]> {
  if (request.kind === 'open') {
    postgres = await PGlite.create(request.directory, { extensions: { vector } });
    return [];
  }
  if (postgres === undefined) throw new Error('the database is not open');
  if (request.kind === 'query') return (await postgres.query<Row>(request.sql, [...request.parameters])).rows;
  await postgres.close();
  return [];
}

parentPort?.on('message', ({ id, request }: Question) => {
  answer(request).then(
    (rows) => parentPort?.postMessage({ id, rows } satisfies Answer),
    (error: unknown) =>
      parentPort?.postMessage({ id, error: reasonOf(error), code: sqlStateOf(error) } satisfies Answer),
  );
});
