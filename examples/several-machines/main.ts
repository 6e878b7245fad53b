// Indexes a directory with several processes over a local NATS server: npm run start:machines -- --machines 3 DIRECTORY
// Whatever is killed is started again, the server too, and every chunk is stored exactly once.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { serverBinary } from '../../test/distributed/support/server.js';

const { values, positionals } = parseArgs({
  options: {
    machines: { type: 'string', default: '3' },
    data: { type: 'string', default: '.data/several-machines' },
  },
  allowPositionals: true,
});
const directory = resolve(positionals[0] ?? '.');
const data = resolve(values.data);
const children = new Map<string, ChildProcess>();
let [total, stored, ending] = [Infinity, 0, false];

function keep(name: string, begin: () => ChildProcess, once = false): void {
  const child = begin();
  children.set(name, child);
  console.log(`${name}: process ${child.pid ?? ''}`);
  child.on('message', (message: { chunks?: number; stored?: number }) => {
    total = message.chunks ?? total;
    if (message.stored !== undefined && message.stored !== stored) console.log(`stored: ${message.stored}`);
    stored = message.stored ?? stored;
    if (stored >= total) void end();
  });
  child.once('exit', (code) => {
    if (ending || (once && code === 0)) return;
    console.log(`${name} has died and is started again`);
    setTimeout(() => keep(name, begin, once), 100);
  });
}

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  console.log(`all ${total} chunks are stored`);
  const names = [...children.keys()].filter((name) => name !== 'server');
  await Promise.all(names.map((name) => stop(name, 'SIGTERM')));
  await stop('server', 'SIGTERM');
}

async function stop(name: string, signal: NodeJS.Signals): Promise<void> {
  const child = children.get(name);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(late);
}

const port = await new Promise<number>((found) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port: free } = probe.address() as AddressInfo;
    probe.close(() => found(free));
  });
});
const binary = serverBinary();
if (binary === undefined) throw new Error('no nats-server: set NATS_SERVER_BIN, or put it on PATH');
mkdirSync(data, { recursive: true });
const config = join(data, 'server.conf');
writeFileSync(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${data}/nats" }\n`);
process.env['NATS_URL'] = `127.0.0.1:${port}`;
const script = (name: string, ...args: string[]): ChildProcess =>
  fork(join(import.meta.dirname, `${name}.ts`), args, { execArgv: ['--import', 'tsx'] });
keep('server', () => spawn(binary, ['-c', config], { stdio: 'ignore' }));
for (let n = 1; n <= Number(values.machines); n++) keep(`machine ${n}`, () => script('work'));
keep('store', () => script('store', data));
keep('reader', () => script('read', directory), true);
process.once('SIGINT', () => {
  ending = true;
  for (const child of children.values()) child.kill('SIGTERM');
});
