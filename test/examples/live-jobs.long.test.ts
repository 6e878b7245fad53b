import { join } from 'node:path';
import type { Job } from '../../examples/document-indexing/protocol.js';
import { FakeEmbeddingApi } from '../support/fake-embedding-api.js';
import { LiveServer, ask, writeDocuments } from '../support/live-server.js';
import { documentsOfTwo, isOver, storedBy, testTwoUsers } from '../support/two-users.js';

jest.setTimeout(300_000);

const both = documentsOfTwo();
const { folder, documents } = both;

describe.each(['summary', 'items', 'isolated'] as const)('two users at once, with --progress %s', (way) => {
  testTwoUsers(way, both);
});

describe('a server whose API makes vectors of no more than a part of a job, so that there is a middle', () => {
  const data = join(folder, 'data-middle');
  const api = new FakeEmbeddingApi();
  let environment: Record<string, string>;
  let server: LiveServer;
  /** What each job has to have stored in the end. */
  const expected = new Map<string, number>();

  beforeAll(async () => {
    await writeDocuments(join(documents, 'carl'), 8, 50);
    await writeDocuments(join(documents, 'dan'), 2, 20);
    environment = await api.open();
    server = await LiveServer.start(
      ['--no-index', '--root', documents, '--data', data, '--batch-size', '1'],
      environment,
    );
  });
  afterAll(() => api[Symbol.asyncDispose]());

  test('cancel ends a job at once and keeps what is stored', async () => {
    api.holdAfter(100);
    const { id } = await server.index('carl', join(documents, 'carl'));
    const dans = await server.index('dan', join(documents, 'dan'));
    await server.until(id, ({ chunks }) => chunks.stored >= 5);
    const answer = (await (await server.post(`/api/jobs/${id}/cancel`, {})).json()) as Job;
    expect(answer.state).toBe('cancelled');
    expect(answer.chunks.stored).toBeGreaterThanOrEqual(5);
    expect(answer.chunks.stored).toBeLessThan(400);
    api.release();
    expect((await server.until(dans.id, isOver)).chunks.stored).toBe(40);
    const ended = await server.job(id);
    expect(ended.state).toBe('cancelled');
    expected.set(id, ended.chunks.stored).set(dans.id, 40);
  });

  test('kill -9 in the middle: the next start goes on, and every chunk is stored exactly once', async () => {
    api.holdAfter(100);
    const { id } = await server.index('ann', join(documents, 'ann'));
    const pasted = { kind: 'text', name: 'pasted', text: '# Pasted\n\nThe quagga sleeps behind the barn.\n' };
    await server.until(id, ({ chunks }) => chunks.stored >= 20);
    const response = await server.post('/api/jobs', { user: 'bob', source: pasted });
    // From now on it has to survive.
    expect(response.status).toBe(201);
    const bobs = (await response.json()) as Job;
    expect(await server.end('SIGKILL')).toBe('SIGKILL');

    const before = (await storedBy(data)).get(id) ?? 0;
    expect(before).toBeGreaterThanOrEqual(20);
    expect(before).toBeLessThan(400);

    api.release();
    const second = await LiveServer.start(['--no-index', '--root', documents, '--data', data], environment);
    const job = await second.until(id, isOver);
    expect(job).toMatchObject({
      user: 'ann',
      state: 'done',
      chunks: { read: 400, embedded: 400, stored: 400, refused: 0, total: 400 },
    });
    expect(await second.until(bobs.id, isOver)).toMatchObject({ state: 'done', chunks: { stored: 1 } });
    const [hit] = await second.search('quagga sleeps behind the barn');
    expect(hit).toMatchObject({ path: 'pasted', heading: 'Pasted', job: bobs.id });
    expect(await second.end()).toBe(130);

    expected.set(id, 400).set(bobs.id, 1);
    expect(await storedBy(data)).toEqual(expected);
    const [sections] = await ask<object>(
      data,
      `SELECT count(*)::integer AS rows, count(DISTINCT (path, position))::integer AS places,
        count(embedding)::integer AS vectors FROM document_sections`,
    );
    const rows = [...expected.values()].reduce((sum, stored) => sum + stored, 0);
    expect(sections).toEqual({ rows, places: rows, vectors: rows });
  });
});
