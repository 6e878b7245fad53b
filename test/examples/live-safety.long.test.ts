// One server for all tests, as a user starts it: what it refuses must not depend on how a test puts it together.
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Info, Job } from '../../examples/document-indexing/protocol.js';
import { LiveServer, scratch, writeDocuments } from '../support/live-server.js';
import { expectSoon } from '../support/soon.js';

jest.setTimeout(240_000);

const folder = scratch();
const documents = join(folder, 'documents');
const data = join(folder, 'data');
let server: LiveServer;

beforeAll(async () => {
  await writeDocuments(documents, 1, 2);
  await mkdir(join(folder, 'documents-secret'));
  await writeFile(join(folder, 'documents-secret', 'a.md'), 'secret');
  await symlink(join(folder, 'documents-secret'), join(documents, 'out'));
  await symlink(documents, join(folder, 'in'));
  server = await LiveServer.start(['--no-index', '--root', documents, '--data', data]);
});
afterAll(() => server.end());

interface Answer {
  status: number;
  error: string;
}

async function begin(source: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await server.post('/api/jobs', { user: 'ann', source }, headers);
  const { error = '' } = (await response.json()) as { error?: string };
  return { status: response.status, error };
}

const directory = (path: string): object => ({ kind: 'directory', path });

describe('folders', () => {
  test.each([
    ['a neighbour with the same beginning', () => join(folder, 'documents-secret')],
    ['the folder above', () => join(documents, '..')],
    ['a link that leads out', () => join(documents, 'out')],
    ['the whole disk', () => '/'],
    ['what does not exist elsewhere', () => '/no/such/folder'],
  ])('%s is refused', async (_what, path) => {
    const { status, error } = await begin(directory(path()));
    expect(status).toBe(403);
    expect(error).toMatch(/^Only folders below .*documents may be indexed\.$/);
  });

  test.each([
    ['what does not exist inside', () => join(documents, 'none'), 404, /none cannot be read \(ENOENT\)\.$/],
    ['a file', () => join(documents, '0.md'), 400, /0\.md is not a folder\.$/],
  ])('%s is said to be so', async (_what, path, status, error) => {
    expect(await begin(directory(path()))).toEqual({ status, error: expect.stringMatching(error) as unknown });
  });

  test('one inside is taken by whatever link leads to it, and links inside are not followed', async () => {
    const { id } = await server.index('ann', join(folder, 'in'));
    const { files } = await server.until(id, ({ state }) => state === 'done');
    expect(files).toEqual({ done: 1, failed: 0, total: 1 });
    expect((await server.get<Info>('/api/info')).roots).toEqual([documents]);
  });
});

/** What fetch would not send. */
function ask(
  headers: Record<string, string>,
  method = 'GET',
  path = '/api/jobs',
  address = server.address,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${address}${path}`, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on('error', reject).end();
  });
}

describe('pages of others', () => {
  test.each([
    [{ host: 'evil.example' }, 403],
    [{ host: 'evil.example:80' }, 403],
    [{ host: '127.0.0.1.evil.example' }, 403],
    [{ host: 'localhost' }, 200],
    [{ host: '127.0.0.1:1234' }, 200],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
  ])('%j is answered with %d', async (headers: Record<string, string>, status) => {
    expect(await ask(headers)).toBe(status);
  });

  test('a job is refused to another origin, and to a form', async () => {
    const refused = { status: 403, error: 'Pages of other addresses may not use this server.' };
    expect(await begin(directory(documents), { origin: 'http://evil.example' })).toEqual(refused);
    expect(await begin(directory(documents), { origin: 'null' })).toEqual(refused);
    expect((await begin(directory(documents), { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await begin(directory(documents), { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(
      415,
    );
    expect((await begin(directory(documents), { origin: server.address })).status).toBe(201);
  });

  test('no script but its own, no guessing of types', async () => {
    for (const path of ['/', '/api/info', '/api/search?q=x', '/page/app.js', '/nothing']) {
      const { headers } = await fetch(`${server.address}${path}`);
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'self';/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  test.each(['/page/../main.ts', '/page/%2e%2e/main.ts', '/page/..%2fmain.ts'])('%s leads nowhere', async (path) => {
    expect([403, 404]).toContain(await ask({}, 'GET', path));
  });
});

describe('requests', () => {
  test.each<[body: object, error: RegExp]>([
    [{ user: '', source: { kind: 'text', name: 'a', text: 'b' } }, /^"user": /],
    [{ user: 'ann' }, /^"source": /],
    [{ user: 'ann', source: { kind: 'url', path: '/' } }, /^"source\.kind": /],
    [{ user: 'ann', source: { kind: 'text', name: 'a', text: '' } }, /^"source\.text": /],
  ])('%j is refused with a reason', async (body, error) => {
    const response = await server.post('/api/jobs', body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toMatch(error);
  });

  test('what does not exist is not found', async () => {
    expect((await server.post('/api/jobs/none/cancel', {})).status).toBe(404);
    expect((await fetch(`${server.address}/api/none`)).status).toBe(404);
    expect((await fetch(`${server.address}/api/search`)).status).toBe(400);
    expect((await fetch(`${server.address}/api/events`)).status).toBe(400);
  });
});

describe('uploads', () => {
  async function upload(
    files: [name: string, content: string | Uint8Array<ArrayBuffer>][],
    user?: string,
  ): Promise<Response> {
    const form = new FormData();
    if (user !== undefined) form.append('user', user);
    for (const [name, content] of files) form.append('files', new Blob([content]), name);
    return fetch(`${server.address}/api/jobs`, { method: 'POST', body: form });
  }

  test('are indexed, under names that lead nowhere and may be the same', async () => {
    const response = await upload(
      [
        ['../../a.md', '# One\nThe okapi is awake.'],
        ['../../a.md', '# Two\nThe okapi sleeps.'],
        ['broken.md', new Uint8Array([0x23, 0xff, 0xfe])],
      ],
      'bob',
    );
    expect(response.status).toBe(201);
    const { id } = (await response.json()) as Job;
    const job = await server.until(id, ({ state }) => state === 'done');
    expect(job).toMatchObject({
      user: 'bob',
      files: { done: 2, failed: 1, total: 3 },
      chunks: { stored: 2, total: 2 },
    });
    expect(job.problems).toEqual([{ path: 'broken.md', message: 'not UTF-8' }]);
    const hits = await server.search('okapi');
    expect(hits.map(({ heading }) => heading).sort()).toEqual(['One', 'Two']);
    expect(hits[0]?.path).toBe('a.md');
    // Removed once it is stored that the job is over, which the answer does not wait for.
    while ((await readdir(join(data, 'uploads'))).length > 0) await sleep(5);
  });

  const filesOf = (count: number): [string, string][] => Array.from({ length: count }, (_, i) => [`${i}.md`, 'x']);

  test('have as many files as the page promises', async () => {
    const response = await upload(filesOf(1_000), 'carl');
    expect(response.status).toBe(201);
    await server.until(((await response.json()) as Job).id, ({ state }) => state === 'done');
    while ((await readdir(join(data, 'uploads'))).length > 0) await sleep(5);
  });

  test('leave nothing behind when they are refused', async () => {
    expect((await upload([['a.md', 'text']])).status).toBe(400);
    expect((await upload([], 'bob')).status).toBe(400);
    const large = new Uint8Array(33 * 1024 * 1024).fill(0x61);
    const tooLarge = await upload(
      [
        ['a.md', large],
        ['b.md', large],
      ],
      'bob',
    );
    expect(tooLarge.status).toBe(413);
    expect(((await tooLarge.json()) as { error: string }).error).toBe('An upload may have 64 MiB, all files together.');
    const many = await upload(filesOf(1_001), 'bob');
    expect(many.status).toBe(413);
    expect(((await many.json()) as { error: string }).error).toBe('An upload may have 1,000 files.');
    const garbage = { method: 'POST', body: 'nothing', headers: { 'content-type': 'multipart/form-data' } };
    expect((await fetch(`${server.address}/api/jobs`, garbage)).status).toBe(400);
    const half = { kind: 'text', name: '\ud800', text: 'x' };
    expect((await server.post('/api/jobs', { user: 'bob', source: half })).status).toBe(400);
    expect(await readdir(join(data, 'uploads'))).toEqual([]);
    // Those of the tests before are over, or soon will be; one that was refused would never be.
    await expectSoon(async () => (await server.get<Job[]>('/api/jobs')).every(({ state }) => state === 'done'));
  });
});

describe('a server for other machines', () => {
  test('is known by its address and its own name, and by no other (DNS rebinding)', async () => {
    const open = await LiveServer.start([
      ...['--no-index', '--root', documents, '--data', join(folder, 'data-open'), '--host', '0.0.0.0'],
    ]);
    const { port } = new URL(open.address);
    const statusOf = (host: string): Promise<number | undefined> => ask({ host }, 'GET', '/api/jobs', open.address);
    expect(await statusOf(`192.168.1.2:${port}`)).toBe(200);
    expect(await statusOf(`[::1]:${port}`)).toBe(200);
    expect(await statusOf(`${hostname()}:${port}`)).toBe(200);
    expect(await statusOf(`evil.example:${port}`)).toBe(403);
    expect(open.output()).toContain('Everybody who can reach this address');
    expect(await open.end('SIGTERM')).toBe(143);
  });
});
