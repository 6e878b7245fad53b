import { createServer } from 'node:http';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import * as perItem from '../../examples/serving-progress/per-item.js';
import * as perUser from '../../examples/serving-progress/per-user.js';
import * as summaries from '../../examples/serving-progress/summaries.js';
import { embeddingApi } from '../../examples/serving-recipes/embedding-api.js';
import { root, run } from '../support/project.js';

test('summaries: each job finds its own line of what all see', async () => {
  const seen: Record<string, number> = {};
  const [a, b] = await Promise.all([
    summaries.index('a', ['x', 'yy'], (done) => (seen['a'] = done)),
    summaries.index('b', ['zzz'], (done) => (seen['b'] = done)),
  ]);
  expect([a, b, seen]).toEqual([[[1], [2]], [[3]], { a: 2, b: 1 }]);
  expect(summaries.embeddings.state.counts.batches).toBe(1);
});

test('per item: each caller sees the slice of its own values', async () => {
  const seen: unknown[] = [];
  const [a] = await Promise.all([
    perItem.embed(['x', 'yyyyy'], (progress) => seen.push(progress)),
    perItem.embed(['other'], () => undefined),
  ]);
  expect([a, seen]).toEqual([[[1], [5]], [{ done: 2, tokens: 3 }]]);
});

test('per user: batches are not shared', async () => {
  const seen: unknown[] = [];
  await Promise.all([
    perUser.embed('ann', ['x', 'y'], (payload) => seen.push(payload)),
    perUser.embed('bob', ['z'], (payload) => seen.push(payload)),
  ]);
  expect(seen).toEqual([
    { user: 'ann', count: 2 },
    { user: 'bob', count: 1 },
  ]);
  await perUser.embeddings.close();
});

test("embedding API: OpenAI's shape, batches by count and weight, Retry-After obeyed, a refusal final", async () => {
  const inputs: string[][] = [];
  const headers: unknown[] = [];
  let refusals = 1;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (refusals-- > 0) {
        response.writeHead(429, { 'retry-after': '0.01' }).end();
        return;
      }
      const { input } = JSON.parse(body) as { input: string[] };
      inputs.push(input);
      headers.push([request.headers['content-type'], request.headers.authorization]);
      if (input.includes('bad')) {
        response.writeHead(400).end('not that');
        return;
      }
      // In any order: `index` says which is which.
      const data = input.map((text, index) => ({ index, embedding: [text.length] })).reverse();
      response.end(JSON.stringify({ data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api = embeddingApi({
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/v1/embeddings`,
    model: 'small',
    key: 'secret',
    limits: { texts: 3, tokens: 4 },
  });
  const texts = ['a', 'b', 'c', 'dddddddd', 'eeeeeeee', 'f'];
  expect(await api.dispatchMany(texts)).toEqual(texts.map((text) => [text.length]));
  expect(inputs).toEqual([['a', 'b', 'c'], ['dddddddd', 'eeeeeeee'], ['f']]);
  expect(headers[0]).toEqual(['application/json', 'Bearer secret']);
  // Refused for good: not tried again.
  await expect(api.dispatch('bad')).rejects.toThrow('answered 400: not that');
  expect(inputs).toHaveLength(4);
  await api.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test.each([
  [
    'serving-progress/main.ts',
    /summaries.*\n {2}ann: 3 of 3 done[^]*batches: \d[^]*per user.*\n {2}ann: \{"user":"ann","count":3\}/,
  ],
  [
    'serving-recipes/embed-many.ts',
    /^300 callers[^]*429, again in 0\.5 s[^]*\n300 vectors of 3 numbers in .* by 4 batches\n$/,
  ],
  ['spool-to-http/demo.ts', /stored 5\n[^]*the endpoint got 5 events: 1, 2, 3, 4, 5\n$/],
])('%s runs by one command and shows its point', async (program, output) => {
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  const { code, stdout, stderr } = await run(process.execPath, [tsx, join(root, 'examples', program)], root, 240_000);
  expect([code, stderr.replace(/npm warn.*\n/g, '')]).toEqual([0, '']);
  expect(stdout).toMatch(output);
});
