// An endpoint that is down at first, and a shipper that is killed: nothing that was stored is lost.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const EVENTS = 5;
const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const directory = await mkdtemp(join(tmpdir(), 'spool-'));
const received: number[] = [];
let up = false;

const endpoint = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => (body += text));
  request.on('end', () => {
    if (up) for (const line of body.trim().split('\n')) received.push((JSON.parse(line) as { id: number }).id);
    response.writeHead(up ? 204 : 503).end();
  });
}).listen(0, '127.0.0.1');
await once(endpoint, 'listening');
const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/events`;

function start(): ChildProcess {
  const args = ['--import', 'tsx', main, '--directory', directory, '--url', url];
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
}

console.log(`the endpoint is down; ${EVENTS} events are written, and the program is killed`);
const first = start();
for (let id = 1; id <= EVENTS; id++) first.stdin?.write(`${JSON.stringify({ id })}\n`);
let stored = 0;
for await (const line of createInterface({ input: first.stdout ?? process.stdin })) {
  console.log(`  ${line}`);
  stored += 1;
  if (stored === EVENTS) first.kill('SIGKILL');
}

console.log('the endpoint is up; the program is started again');
up = true;
const second = start();
second.stdin?.end();
for await (const line of createInterface({ input: second.stderr ?? process.stdin })) console.log(`  ${line}`);
console.log(`  the endpoint got ${received.length} events: ${received.join(', ')}`);

endpoint.closeAllConnections();
endpoint.close();
await rm(directory, { recursive: true });
