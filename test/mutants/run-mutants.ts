import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A deliberate bug. */
export interface Mutant {
  /** What it breaks. */
  name: string;
  file: string;
  /** Must be there exactly once. */
  from: string;
  to: string;
  /** The tests one of which has to fail; the collector's by default. */
  tests?: readonly string[];
}

const TESTS = ['test/collector/', 'test/abuse.test.ts', 'test/core'];
const COPIED = ['src', 'collectors', 'cli', 'scripts', 'test', 'package.json', 'tsconfig.json', 'jest.config.js'];

/** A mutant that never comes to an end is caught too. */
const PATIENCE = 120_000;

/** Applies each mutant to a copy of the project, and says whether every one of them was caught. */
export async function runMutants(mutants: readonly Mutant[]): Promise<boolean> {
  const copy = fs.mkdtempSync(join(tmpdir(), 'mutants-'));
  for (const name of COPIED) if (fs.existsSync(name)) fs.cpSync(name, join(copy, name), { recursive: true });
  fs.symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  let sound = true;
  try {
    // What fails anyway catches nothing.
    for (const tests of new Set(mutants.map((mutant) => (mutant.tests ?? TESTS).join(' ')))) {
      if (await jest(tests.split(' '), copy)) continue;
      console.log(`RED without any mutant: ${tests}`);
      return false;
    }
    for (const mutant of mutants) {
      const start = performance.now();
      const verdict = await check(mutant, copy);
      sound &&= verdict === 'caught';
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${verdict.padEnd(8)} ${seconds.padStart(6)} s  ${mutant.name} (${mutant.file})`);
    }
  } finally {
    fs.rmSync(copy, { recursive: true, force: true });
  }
  return sound;
}

async function check({ file, from, to, tests = TESTS }: Mutant, copy: string): Promise<string> {
  const path = join(copy, file);
  const original = fs.readFileSync(path, 'utf8');
  if (original.split(from).length !== 2) return 'STALE';
  fs.writeFileSync(
    path,
    original.replace(from, () => to),
  );
  try {
    return (await jest(tests, copy)) ? 'SURVIVED' : 'caught';
  } finally {
    fs.writeFileSync(path, original);
  }
}

/** Whether they pass. */
function jest(tests: readonly string[], cwd: string): Promise<boolean> {
  return new Promise((resolve) => {
    // Processes take their time: they run for the mutants that name them.
    const ignored = tests.join().includes('reported-processes')
      ? []
      : ['--testPathIgnorePatterns', 'reported-processes', '--'];
    const bin = join(cwd, 'node_modules', 'jest', 'bin', 'jest.js');
    const args = [bin, '--bail', '--forceExit', '--silent', '--maxWorkers=2', ...ignored, ...tests];
    const child = spawn(process.execPath, args, { cwd, stdio: 'ignore', detached: true });
    const patience = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL'); // with its workers
    }, PATIENCE);
    child.on('exit', (code) => {
      clearTimeout(patience);
      resolve(code === 0);
    });
  });
}
