// A database server in a process of its own, since it has to be killed: with one that merely answers with errors, broken
// connections would not be tried.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Info, Job } from '../../examples/document-indexing/protocol.js';
import { FakeEmbeddingApi } from '../support/fake-embedding-api.js';
import { LiveServer, ask, scratch, writeDocuments } from '../support/live-server.js';
import { PostgresServer } from '../support/postgres-server.js';

jest.setTimeout(300_000);

const folder = scratch();
const documents = join(folder, 'documents');
const database = join(folder, 'database');

test('a database that goes away: jobs pause and say why, nothing is lost, and they go on', async () => {
  // It makes vectors of no more than a part of the job, so that there is a middle.
  await using api = new FakeEmbeddingApi();
  api.holdAfter(100);
  await writeDocuments(documents, 8, 50);
  await mkdir(database);
  const postgres = await PostgresServer.start(join(database, 'postgres'));
  const server = await LiveServer.start(
    ['--no-index', '--root', documents, '--data', join(folder, 'data'), '--batch-size', '3'],
    { DATABASE_URL: postgres.address, ...(await api.open()) },
  );
  expect((await server.get<Info>('/api/info')).database).toEqual({ kind: 'server', available: true });
  const { id } = await server.index('ann', documents);
  await server.until(id, ({ chunks }) => chunks.stored >= 20);

  await postgres.kill();
  api.release();
  const paused = await server.until(id, ({ state }) => state === 'paused');
  expect(paused.message).toMatch(/^The database does not answer \(.+\)\. Nothing is lost; it goes on by itself\.$/);
  expect(paused.chunks.stored).toBeLessThan(400);
  expect((await server.get<Info>('/api/info')).database).toEqual({ kind: 'server', available: false });
  const text = { kind: 'text', name: 'a', text: 'b' };
  const refused = await server.post('/api/jobs', { user: 'bob', source: text });
  expect(refused.status).toBe(503);
  expect(((await refused.json()) as { error: string }).error).toMatch(/^The database does not take the job/);
  expect((await fetch(`${server.address}/api/search?q=topic1`)).status).toBe(503);

  const again = await PostgresServer.start(join(database, 'postgres'), postgres.port);
  const job = await server.until(id, ({ state }) => state === 'done');
  expect(job.chunks).toEqual({ read: 400, embedded: 400, stored: 400, refused: 0, total: 400 });
  expect(job.message).toBeUndefined();
  expect((await server.get<Job[]>('/api/jobs')).map((each) => each.id)).toEqual([id]);
  expect((await server.search('what file 3 says about topic170'))[0]).toMatchObject({ heading: 'Section 20', job: id });
  expect(await server.end()).toBe(130);
  await again.kill();

  const counts = `SELECT count(*)::integer AS rows, count(DISTINCT section)::integer AS sections FROM job_sections`;
  expect(await ask(database, counts)).toEqual([{ rows: 400, sections: 400 }]);
});

test('a database without vectors is said to be one', async () => {
  const postgres = await PostgresServer.start(join(folder, 'plain'), undefined, []);
  const started = LiveServer.start(['--no-index', '--data', join(folder, 'data')], { DATABASE_URL: postgres.address });
  await expect(started).rejects.toThrow(
    /^ended with 1: document-indexing: Postgres at .* has no vectors .*install pgvector/s,
  );
  await postgres.kill();
});
