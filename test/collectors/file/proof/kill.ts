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
  try {
    await momentOf(log, source, () => child.exitCode === null);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

/** How many of the processes are killed before they have said anything, while they recover. */
const EARLY = 0.15;

/** Milliseconds in which a process must get on, however slow the machine is. */
const STUCK = 60_000;

/** Waits for progress, and not for a time: a machine that is ten times slower then kills at the same moments. */
async function momentOf(log: string, source: Random, alive: () => boolean): Promise<void> {
  if (source.chance(EARLY)) {
    await pause(30 + source.int(60));
    return;
  }
  const [word, count] = source.pick([
    ['A', 1 + source.int(5)],
    ['S', 1 + source.int(10)],
    ['S', 1 + source.int(60)],
    ['D', 1 + source.int(4)],
  ] as const);
  const rest = source.int(3);
  const start = performance.now();
  for (;;) {
    const said = fs.readFileSync(log, 'utf8');
    if (countLines(said, word) >= count) break;
    const stuck = performance.now() - start > STUCK;
    if (stuck || !alive()) {
      const how = stuck ? 'is stuck' : 'has ended, and nobody has killed it';
      throw new Error(`a process ${how}; it said last:\n${said.split('\n').slice(-20).join('\n')}`);
    }
    await pause(1);
  }
  await pause(rest);
}

function countLines(said: string, word: string): number {
  return said.split('\n').filter((line) => line.startsWith(word)).length;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
