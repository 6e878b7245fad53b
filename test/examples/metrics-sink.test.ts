import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { MetricsSink, type Summary } from '../../examples/metrics-sink/metrics-sink.js';
import { root, run } from '../support/project.js';

const posts: Summary[][] = [];
let answer = 200;
let endpoint: Server;
let url: string;

beforeAll(async () => {
  endpoint = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (answer === 200) posts.push(JSON.parse(body) as Summary[]);
      response.writeHead(answer).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => endpoint.once('listening', resolve));
  url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`;
});
afterAll(() => {
  endpoint.closeAllConnections();
  endpoint.close();
});
beforeEach(() => {
  posts.length = 0;
  answer = 200;
});

test('adds up what many producers cast', async () => {
  const sink = await MetricsSink.start({ url, interval: 1e6 });
  for (let i = 1; i <= 1000; i++) sink.cast({ name: i % 2 === 0 ? 'even' : 'odd', value: i });
  expect(await sink.call('post')).toBe(2);
  expect(posts).toEqual([
    [
      { name: 'odd', count: 500, sum: 250_000, min: 1, max: 999 },
      { name: 'even', count: 500, sum: 250_500, min: 2, max: 1000 },
    ],
  ]);
  expect(await sink.call('post')).toBe(0);
  await sink.close();
  expect(posts).toHaveLength(1);
});

test('an endpoint that fails loses nothing: the next post has it all, also that of the end', async () => {
  const sink = await MetricsSink.start({ url, interval: 1e6 });
  sink.cast({ name: 'a', value: 1 });
  answer = 503;
  await expect(sink.call('post')).rejects.toThrow('answered 503');
  sink.cast({ name: 'a', value: 2 });
  expect(sink.sys.getStatus().state).toEqual({ waiting: 1, posted: 0, failed: 1 });
  answer = 200;
  await sink.close();
  expect(posts).toEqual([[{ name: 'a', count: 2, sum: 3, min: 1, max: 2 }]]);
});

test('posts at its interval', async () => {
  const sink = await MetricsSink.start({ url, interval: 5 });
  sink.cast({ name: 'a', value: 1 });
  const posted = new Promise<void>((resolve) => {
    const end = sink.sys.trace(({ type }) => {
      if (posts.length === 0) return;
      if (type === 'batch') {
        end();
        resolve();
      }
    });
  });
  await posted;
  expect(posts[0]).toEqual([{ name: 'a', count: 1, sum: 1, min: 1, max: 1 }]);
  await sink.close();
});

test('the program runs', async () => {
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  const main = join(root, 'examples', 'metrics-sink', 'main.ts');
  const { code, stdout, stderr } = await run(process.execPath, [tsx, main], root, 240_000);
  expect([code, stderr.replace(/npm warn.*\n/g, '')]).toEqual([0, '']);
  expect(stdout).toMatch(/latency: \d+ samples, mean [\d.]+\nbytes: \d+ samples, mean 512\.0\n/);
  expect(stdout).toMatch(/\d+ messages in \d+ batches, the largest of \d+\n$/);
}, 300_000);
