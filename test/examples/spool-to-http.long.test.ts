import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../support/project.js';
import { directory, filesIn, removeDirectories } from '../support/spool.js';

/** An endpoint that can be down, and that takes each key once. */
async function endpoint() {
  const seen = new Map<string, number[]>();
  const state = { down: false, requests: 0 };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      state.requests++;
      if (!state.down) {
        const ids = body.split('\n').filter((line) => line !== '');
        seen.set(
          String(request.headers['idempotency-key']),
          ids.map((line) => (JSON.parse(line) as { id: number }).id),
        );
      }
      response.writeHead(state.down ? 503 : 204).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/events`;
  return { url, state, received: () => [...seen.values()].flat(), close: () => server.close() };
}

const running = new Set<ChildProcess>();

function start(path: string, url: string) {
  const args = ['--import', 'tsx', 'examples/spool-to-http/main.ts', '--directory', path, '--url', url];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const stored: number[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) stored.push(Number(line.replace('stored ', '')));
  });
  child.stdin.on('error', () => undefined); // it is killed while we write
  child.stderr.resume();
  return { child, stored, ended: once(child, 'exit') };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    // Another process is waited for, which needs the processor.
    await sleep(5);
  }
}

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  removeDirectories();
});

test('every event that was said to be stored arrives, through kill -9 and an endpoint that is down', async () => {
  const path = directory();
  const http = await endpoint();
  const acknowledged: number[] = [];
  let next = 0;
  for (let life = 0; life < 3; life++) {
    http.state.down = life === 1;
    const { child, stored, ended } = start(path, http.url);
    const until20 = next + 2000;
    while (next < until20) child.stdin.write(`${JSON.stringify({ id: next++, what: 'order' })}\n`);
    const requests = http.state.requests;
    await until(() => stored.length > 300 && http.state.requests > requests);
    child.kill('SIGKILL');
    await ended;
    acknowledged.push(...stored);
  }
  http.state.down = false;
  const { child, ended } = start(path, http.url);
  child.stdin.end();
  expect((await ended)[0]).toBe(0);
  http.close();
  const received = http.received();
  expect(received).toEqual(expect.arrayContaining(acknowledged));
  // In order, and nothing that was not sent.
  expect(received).toEqual([...new Set(received)].sort((a, b) => a - b));
  expect(received.every((id) => id < next)).toBe(true);
  expect(filesIn(path)).toEqual([]);
}, 300_000);

test('a line that is no event is left out and reported; what comes after it is delivered, and the program ends', async () => {
  const path = directory();
  const http = await endpoint();
  const { child, stored, ended } = start(path, http.url);
  child.stdin.end('{"id":1}\nnot JSON\n[]\n{"id":2}\n');
  expect((await ended)[0]).toBe(1);
  expect(stored).toEqual([1, 2]);
  expect(http.received()).toEqual([1, 2]);
  http.close();
}, 300_000);
