// 300 callers, each with one text of their own. With EMBEDDINGS_URL (and EMBEDDINGS_MODEL, EMBEDDINGS_KEY) that API is
// called; without it, one of this program that answers in the same shape, and says "later" once.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { embeddingApi } from './embedding-api.js';

const CALLERS = 300;
const { EMBEDDINGS_URL, EMBEDDINGS_MODEL = 'text-embedding-3-small', EMBEDDINGS_KEY } = process.env;

let patient = false;
const pretender = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => (body += text));
  request.on('end', () => {
    const { input } = JSON.parse(body) as { input: string[] };
    if (!patient) {
      patient = true;
      console.log(`  a request of ${input.length} texts: 429, again in 0.5 s`);
      response.writeHead(429, { 'retry-after': '0.5' }).end();
      return;
    }
    console.log(`  a request of ${input.length} texts`);
    const data = input.map((text, index) => ({ index, embedding: [text.length, 1, 0] }));
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }));
  });
});
if (EMBEDDINGS_URL === undefined) await new Promise<void>((resolve) => pretender.listen(0, '127.0.0.1', resolve));

const url = EMBEDDINGS_URL ?? `http://127.0.0.1:${(pretender.address() as AddressInfo).port}/v1/embeddings`;
await using api = embeddingApi({ url, model: EMBEDDINGS_MODEL, key: EMBEDDINGS_KEY });

console.log(`${CALLERS} callers ask for one vector each`);
const began = performance.now();
const vectors = await Promise.all(Array.from({ length: CALLERS }, (_, i) => api.dispatch(`text ${i}`)));
const seconds = (performance.now() - began) / 1000;
const { batches } = api.state.counts;
console.log(
  `${vectors.length} vectors of ${vectors[0]?.length ?? 0} numbers in ${seconds.toFixed(2)} s, by ${batches} batches`,
);
pretender.closeAllConnections();
pretender.close();
