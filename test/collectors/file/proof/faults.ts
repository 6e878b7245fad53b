import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Durability } from '../../../../collectors/file-batcher.js';
import type { Orders } from './child.js';
import { childOf } from './compile.js';
import { deliverRest, judge, newRecord, read } from './oracle.js';

export const ACTIONS = [
  'kill_before',
  'kill_after',
  'torn',
  'short',
  'EIO',
  'ENOSPC',
  'EMFILE',
  'EACCES',
  'EROFS',
] as const;
export type Action = (typeof ACTIONS)[number];

/** `undefined` if there is no compiler, or what it makes cannot be preloaded here. */
export function compileShim(folder: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const shim = join(folder, 'shim.so');
  const made = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', shim, 'test/collectors/file/proof/shim.c', '-ldl']);
  return made.status === 0 ? shim : undefined;
}

export interface Case {
  durability: Durability;
  /** What a process does that a fault is put into: adds and delivers, or recovers what a killed one has left. */
  phase: 'work' | 'recovery';
  action: Action | undefined;
  at: number;
}

export interface CaseOutcome {
  violations: string[];
  /** The operations on files, in order. */
  ops: string[];
}

const ITEMS = 11;

/** Runs one case in a directory of its own. */
export async function runCase(compiled: string, shim: string, folder: string, given: Case): Promise<CaseOutcome> {
  const directory = join(folder, 'spool');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const record = newRecord();
  const orders: Orders = {
    directory,
    durability: given.durability,
    integrity: 'line',
    maxBatchSize: 4,
    first: 1,
    items: ITEMS,
    contend: false,
  };
  let crashes = 0;
  const run = (to: Orders, action: Action | undefined, at: number): string[] => {
    const log = join(folder, 'log');
    const ops = join(folder, 'ops');
    fs.rmSync(ops, { force: true });
    const output = fs.openSync(log, 'w');
    const { status, signal, stderr } = spawnSync(process.execPath, [childOf(compiled), JSON.stringify(to)], {
      stdio: ['ignore', 'ignore', 'pipe', output],
      timeout: 20_000,
      killSignal: 'SIGTERM',
      env: {
        ...process.env,
        LD_PRELOAD: shim,
        SHIM_DIR: directory,
        SHIM_LOG: ops,
        ...(action !== undefined && { SHIM_DO: action, SHIM_AT: String(at) }),
      },
    });
    fs.closeSync(output);
    read(record, fs.readFileSync(log, 'utf8'));
    const done = fs.existsSync(ops) ? fs.readFileSync(ops, 'utf8').trim().split('\n') : [];
    if (signal === 'SIGKILL') crashes++;
    else if (signal !== null) record.wrong.push('A2: it hangs');
    else if (status !== 0)
      record.wrong.push(`A4: it ends with ${status ?? 'nothing'}: ${stderr.toString().slice(0, 500)}`);
    else if (!record.ended) record.wrong.push('A2: it ends before it is done');
    // A removal that failed is undone work, as after a crash.
    if (action !== undefined && !action.startsWith('kill') && done[at - 1]?.includes('unlink') === true) crashes++;
    return done.map((line) => line.replace(/^\d+ /, ''));
  };
  if (given.phase === 'work') {
    const ops = run(orders, given.action, given.at);
    await deliverRest(directory, record);
    return { violations: judge(record, crashes), ops };
  }
  // A process that dies in the middle of a write of the third batch leaves a torn line and files to be recovered.
  prepare(directory, record);
  const ops = run({ ...orders, first: 1001, items: 2 }, given.action, given.at);
  await deliverRest(directory, record);
  return { violations: judge(record, crashes), ops };
}

/** Two whole files, one with a torn tail, one with a damaged line in its middle, and a copy that was not finished. */
function prepare(directory: string, record: ReturnType<typeof newRecord>): void {
  fs.mkdirSync(directory, { mode: 0o700 });
  const line = (id: number): string => JSON.stringify({ id, pad: 'x'.repeat((id * 7919) % 90) });
  const name = (sequence: number): string => `${String(sequence).padStart(15, '0')}-00112233445566aa-0-none1.batch`;
  const write = (path: string, text: string): void => {
    fs.writeFileSync(join(directory, path), text, { mode: 0o600 });
  };
  for (let id = 1; id <= 8; id++) {
    record.added.add(id);
    record.stored.add(id);
  }
  write(name(1), `${line(1)}\n${line(2)}\n`);
  write(name(2), `${line(3)}\n${line(4)}\n${line(5).slice(0, 7)}`);
  write(name(3), `${line(5)}\n\0\0\0\n${line(6)}\n`);
  write(name(4), `${line(7)}\n${line(8)}\n`);
  write(`${name(3)}.tmp`, line(5));
}

/** Every operation of both workloads × everything that can happen to it × every durability level. */
export async function allCases(compiled: string, shim: string, folder: string): Promise<Case[]> {
  const cases: Case[] = [];
  for (const phase of ['work', 'recovery'] as const) {
    for (const durability of ['none', 'batch', 'item'] as const) {
      const { ops, violations } = await runCase(compiled, shim, folder, {
        phase,
        durability,
        action: undefined,
        at: 0,
      });
      if (violations.length > 0) throw new Error(`without any fault: ${violations.join()}`);
      for (const [index, op] of ops.entries()) {
        for (const action of ACTIONS) {
          const partly = action === 'torn' || action === 'short';
          if (partly && op !== 'write' && op !== 'read') continue;
          cases.push({ phase, durability, action, at: index + 1 });
        }
      }
    }
  }
  return cases;
}

export function nameOfCase({ phase, durability, action, at }: Case): string {
  return `${phase},${durability},${action ?? 'nothing'},${at}`;
}
