// Indexes a directory with several processes over a local NATS server: npm start -- --machines 3 DIRECTORY
// What is killed is started again, the server too, and every chunk is stored exactly once.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { serverBinary } from '../../test/distributed/support/server.js';
import { portToKeep } from '../../test/support/ports.js';
import { showPage, type Machine } from './page.js';

const { values, positionals } = optionsOr(fail);
const machineCount = wholeNumber('machines', values.machines, 1, 100);
const pagePort = wholeNumber('port', values.port, 0, 65_535);
const [documents = '.'] = positionals;
const directory = resolve(documents);
if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
  fail(`there is no directory '${documents}'`);
const data = resolve(values.data);
const children = new Map<string, ChildProcess>();
const machines: Machine[] = [];
let [total, stored, ending] = [Infinity, 0, false];

interface Said {
  chunks?: number;
  stored?: number;
  done?: number;
}

function keep(name: string, begin: () => ChildProcess, once = false): void {
  const machine: Machine = { name, pid: undefined, alive: false, deaths: 0, done: 0 };
  machines.push(machine);
  const run = (): void => {
    const child = begin();
    children.set(name, child);
    Object.assign(machine, { pid: child.pid, alive: true });
    console.log(`${name}: process ${child.pid ?? ''}`);
    child.on('message', (said: Said) => hear(machine, said));
    child.once('exit', (code) => {
      machine.alive = false;
      if (ending || (once && code === 0)) return;
      machine.deaths++;
      console.log(`${name} has died and is started again`);
      setTimeout(run, 100);
    });
  };
  run();
}

function hear(machine: Machine, said: Said): void {
  machine.done = said.done ?? machine.done;
  total = said.chunks ?? total;
  if (said.stored !== undefined && said.stored !== stored) console.log(`stored: ${said.stored}`);
  stored = said.stored ?? stored;
  if (stored >= total) void end();
}

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  console.log(`all ${total} chunks are stored`);
  if (values.stay) await new Promise((done) => process.once('SIGINT', done));
  const names = [...children.keys()].filter((name) => name !== 'server');
  await Promise.all(names.map((name) => stop(name)));
  await stop('server');
}

async function stop(name: string): Promise<void> {
  const child = children.get(name);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(late);
}

const port = await portToKeep(); // the server comes back there after it was killed
const binary = serverBinary();
if (binary === undefined) throw new Error('no nats-server: set NATS_SERVER_BIN, or put it on PATH');
mkdirSync(data, { recursive: true });
const config = join(data, 'server.conf');
writeFileSync(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${data}/nats" }\n`);
process.env['NATS_URL'] = `127.0.0.1:${port}`;
const script = (name: string, ...args: string[]): ChildProcess =>
  fork(join(import.meta.dirname, `${name}.ts`), args, { execArgv: ['--import', 'tsx'] });
const shown = (): number | undefined => (Number.isFinite(total) ? total : undefined);
console.log(`page: ${await showPage(() => ({ machines, stored, total: shown() }), pagePort)}`);
keep('server', () => spawn(binary, ['-c', config], { stdio: 'ignore' }));
for (let n = 1; n <= machineCount; n++) keep(`machine ${n}`, () => script('work'));
keep('store', () => script('store', data));
keep('reader', () => script('read', directory), true);
process.once('SIGINT', () => {
  ending = true;
  for (const child of children.values()) child.kill('SIGTERM');
});

function optionsOr(complain: (problem: string) => never) {
  try {
    return parseArgs({
      options: {
        machines: { type: 'string', default: '3' },
        data: { type: 'string', default: '.data/several-machines' },
        port: { type: 'string', default: '0' },
        // The page stays when all is done, until Ctrl-C.
        stay: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    return complain((error as Error).message);
  }
}

function wholeNumber(option: string, given: string, least: number, most: number): number {
  const number = Number(given);
  if (given.trim() !== '' && Number.isInteger(number) && number >= least && number <= most) return number;
  return fail(`option '--${option}': expected a whole number from ${least} to ${most}, given '${given}'`);
}

function fail(problem: string): never {
  process.stderr.write(`several-machines: ${problem}\n`);
  process.exit(2);
}
