import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type Random, random } from 'batch-please/testing';
import type { Orders } from './child.js';
import { childOf } from './compile.js';
import { deliverRest, judge, newRecord, read } from './oracle.js';

export interface KillOutcome {
  violations: string[];
  kills: number;
  stored: number;
  delivered: number;
}

/**
 * Kills processes on one directory that lives on from one to the next.
 *
 * Real time: when a process is killed is the one thing here that must not be decided by the process itself.
 */
export async function killLoop(compiled: string, folder: string, kills: number, seed: number): Promise<KillOutcome> {
  const source = random(seed);
  const directory = join(folder, 'spool');
  const log = join(folder, 'log');
  const record = newRecord();
  let first = 1;
  for (let kill = 0; kill < kills; kill++) {
    fs.writeFileSync(log, '');
    const orders: Orders = {
      directory,
      durability: source.pick(['none', 'batch', 'item']),
      integrity: source.pick(['line', 'line', 'suffix', 'none']),
      maxBatchSize: source.pick([1, 3, 10, 1000]),
      first,
      items: null,
      contend: false,
    };
    await runAndKill(compiled, orders, log, source);
    read(record, fs.readFileSync(log, 'utf8'));
    first = Math.max(0, ...record.added) + 1;
    if (record.wrong.length > 0) break;
  }
  await deliverRest(directory, record);
  return {
    violations: judge(record, kills),
    kills,
    stored: record.stored.size,
    delivered: record.delivered.length,
  };
}

async function runAndKill(compiled: string, orders: Orders, log: string, source: Random): Promise<void> {
  const output = fs.openSync(log, 'a');
  const child = spawn(process.execPath, [childOf(compiled), JSON.stringify(orders)], {
    stdio: ['ignore', 'ignore', 'inherit', output],
  });
  fs.closeSync(output);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  // From the first thing that it says on; now and then before, while it recovers.
  const early = source.chance(0.15);
  const after = early ? 30 + source.int(60) : source.int(source.pick([3, 15, 40]));
  // In half of the others not before something is stored: on a slow machine nothing ever would be.
  const stores = !early && source.chance(0.5);
  const started = (): boolean => (stores ? /^S /m.test(fs.readFileSync(log, 'utf8')) : fs.statSync(log).size > 0);
  const start = performance.now();
  while (!early && !started() && performance.now() - start < 10_000) await pause(1);
  await pause(after);
  child.kill('SIGKILL');
  await ended;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
