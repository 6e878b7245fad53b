// A page to try it with, and the endpoint behind it, which prints what it gets: `npx tsx examples/browser-beacon/main.ts`.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import type { PageEvent } from './beacon.js';

const { outputFiles } = await build({
  stdin: {
    contents: `
      import { beacon } from './beacon.ts';
      const { track } = beacon('/events');
      for (const type of ['click', 'keydown']) addEventListener(type, () => track(type));
      track('open');`,
    resolveDir: import.meta.dirname,
    loader: 'ts',
  },
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'browser',
});
const script = outputFiles[0]?.text ?? '';
const page = `<!doctype html><html lang="en"><title>Events</title><link rel="icon" href="data:,">
<h1>Click, type, then close this tab</h1><p>Every click and key is an event. They are sent together: after 5 seconds, or
when the page goes away. The terminal prints what arrives.</p><script type="module" src="/page.js"></script>`;

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1');
await once(server, 'listening');
console.log(`Open http://127.0.0.1:${(server.address() as AddressInfo).port}; Ctrl-C ends.`);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url !== '/events') {
    const isScript = request.url === '/page.js';
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html; charset=utf-8' });
    response.end(isScript ? script : page);
    return;
  }
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += String(piece);
  const names = (JSON.parse(body) as PageEvent[]).map(({ name }) => name);
  console.log(`a request of ${names.length} events: ${names.join(', ')}`);
  response.end();
}
