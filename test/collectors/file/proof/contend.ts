import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { random } from 'batch-please/testing';
import type { Orders } from './child.js';
import { childOf } from './compile.js';
import { pause } from './kill.js';
import { deliverRest, judge, newRecord, read } from './oracle.js';

export interface ContendOutcome {
  violations: string[];
  kills: number;
  /** How often the directory changed hands. */
  takes: number;
  longestWait: number;
}

/** Milliseconds in which one of them must take it, however slow the machine is. */
const STUCK = 90_000;

/**
 * Several processes want one directory, and those that have it are killed.
 *
 * Real time and real processes: whether one lives is for the operating system to say.
 */
export async function contend(
  compiled: string,
  folder: string,
  processes: number,
  kills: number,
  seed: number,
): Promise<ContendOutcome> {
  const source = random(seed);
  const directory = join(folder, 'spool');
  const log = join(folder, 'log');
  fs.writeFileSync(log, '');
  const orders: Orders = {
    directory,
    durability: 'none',
    integrity: 'line',
    maxBatchSize: 2,
    first: 0,
    items: null,
    contend: true,
  };
  const children = new Map<number, ChildProcess>();
  const start = (): void => {
    const output = fs.openSync(log, 'a');
    const child = spawn(process.execPath, [childOf(compiled), JSON.stringify(orders)], {
      stdio: ['ignore', 'ignore', 'inherit', output],
    });
    fs.closeSync(output);
    if (child.pid !== undefined) children.set(child.pid, child);
  };
  for (let count = 0; count < processes; count++) start();
  const notes = fs.openSync(log, 'a');
  let done = 0;
  let longestWait = 0;
  let last = performance.now();
  let seen = 0;
  let killsSinceTake = 0;
  while (done < kills) {
    await pause(source.int(source.pick([5, 40, 150])));
    const said = fs.readFileSync(log, 'utf8');
    const takes = said.split('\n').filter((line) => line.startsWith('+')).length;
    const now = performance.now();
    if (takes > seen) {
      last = now;
      killsSinceTake = 0;
    }
    seen = takes;
    longestWait = Math.max(longestWait, now - last);
    if (now - last > STUCK) break;
    const owner = ownerIn(said);
    // The owner mostly, and now and then one that waits, or is just taking it.
    const victim = source.chance(0.7) ? owner : source.pick([...children.keys()]);
    const child = victim === undefined ? undefined : children.get(victim);
    if (victim === undefined || child === undefined) continue;
    // On a slow machine those that wait would all be killed before any of them has taken it.
    if (killsSinceTake >= 2 && victim !== owner) continue;
    killsSinceTake++;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    fs.writeSync(notes, `K ${victim}\n`);
    child.kill('SIGKILL');
    await ended;
    children.delete(victim);
    done++;
    start();
  }
  for (const [pid, child] of children) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    fs.writeSync(notes, `K ${pid}\n`);
    child.kill('SIGKILL');
    await ended;
  }
  fs.closeSync(notes);
  const said = fs.readFileSync(log, 'utf8');
  const record = newRecord();
  read(record, said);
  await deliverRest(directory, record);
  const violations = [...judge(record, done + processes), ...overlaps(said)];
  if (done < kills) violations.push(`G11: dead lock: nobody has taken the directory for ${Math.round(longestWait)} ms`);
  return { violations, kills: done, takes: seen, longestWait };
}

function ownerIn(said: string): number | undefined {
  const lines = said.split('\n').filter((line) => /^[-+K] /.test(line));
  const last = lines.at(-1);
  return last?.startsWith('+') === true ? Number(last.slice(2)) : undefined;
}

function overlaps(said: string): string[] {
  const found: string[] = [];
  const owners = new Set<number>();
  const doomed = new Set<number>();
  for (const line of said.split('\n')) {
    const pid = Number(line.slice(2));
    if (line.startsWith('+ ')) {
      if (owners.size > 0) found.push(`G11: process ${pid} takes the directory while ${[...owners].join()} has it`);
      // A kill is noted before it is sent: a process that takes the directory in between says so, and has ended.
      if (!doomed.has(pid)) owners.add(pid);
    } else if (line.startsWith('- ') || line.startsWith('K ')) {
      owners.delete(pid);
      if (line.startsWith('K ')) doomed.add(pid);
    }
  }
  return found;
}
