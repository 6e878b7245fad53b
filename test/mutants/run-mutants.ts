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
  /** Tests known to catch it, which run first: those that come to a verdict soon. */
  by?: readonly string[];
  /** The tests one of which has to fail; the collector's by default. */
  tests?: readonly string[];
  /** It makes a loop endless: that its run takes too long is how it is caught. */
  endless?: true;
}

interface Run {
  outcome: 'passed' | 'failed' | 'broken' | 'late';
  seconds: number;
  /** The first test that failed. */
  test: string | undefined;
}

type Verdict = 'caught' | 'SURVIVED' | 'TIMED OUT' | 'STALE' | 'BROKEN';

const TESTS = ['test/collector/', 'test/abuse.test.ts', 'test/core'];
const COPIED = ['src', 'collectors', 'cli', 'scripts', 'test', 'package.json', 'tsconfig.json', 'jest.config.js'];

/** A test that waits for what a mutant keeps from happening fails after so many ms. */
const TEST_TIMEOUT = 20_000;
/** What the tests may take without any mutant, in ms. With one they may take four times what they took without. */
const LIMIT = 900_000;

/** Applies each mutant to a copy of the project, and says whether every one of them was caught. */
export async function runMutants(mutants: readonly Mutant[]): Promise<boolean> {
  const copy = fs.mkdtempSync(join(tmpdir(), 'mutants-'));
  for (const name of COPIED) if (fs.existsSync(name)) fs.cpSync(name, join(copy, name), { recursive: true });
  fs.symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  const verdicts: Record<string, number> = {};
  try {
    // What fails anyway catches nothing.
    const everything = new Set(mutants.flatMap(({ by = [], tests = TESTS }) => [...by, ...tests]));
    const sane = await jest([...everything], copy, LIMIT);
    console.log(`${sane.outcome} without any mutant, in ${sane.seconds.toFixed(1)} s`);
    if (sane.outcome !== 'passed') {
      console.log(`RED without any mutant: ${sane.test ?? sane.outcome}`);
      return false;
    }
    for (const mutant of mutants) {
      const { verdict, seconds, test } = await check(mutant, copy, 4000 * sane.seconds + 30_000);
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      const by = test === undefined ? '' : `\n${' '.repeat(22)}by ${test}`;
      console.log(`${verdict.padEnd(9)} ${seconds.toFixed(1).padStart(6)} s  ${mutant.name} (${mutant.file})${by}`);
    }
  } finally {
    fs.rmSync(copy, { recursive: true, force: true });
  }
  const caught = verdicts['caught'] ?? 0;
  const others = Object.entries(verdicts).filter(([verdict]) => verdict !== 'caught');
  console.log(`${caught} of ${mutants.length} caught${others.map(([verdict, n]) => `, ${n} ${verdict}`).join('')}`);
  return caught === mutants.length;
}

async function check(
  { file, from, to, by, tests = TESTS, endless }: Mutant,
  copy: string,
  limit: number,
): Promise<{ verdict: Verdict; seconds: number; test?: string | undefined }> {
  const path = join(copy, file);
  const original = fs.readFileSync(path, 'utf8');
  if (original.split(from).length !== 2) return { verdict: 'STALE', seconds: 0 };
  fs.writeFileSync(
    path,
    original.replace(from, () => to),
  );
  let seconds = 0;
  try {
    for (const set of by === undefined ? [tests] : [by, tests]) {
      const run = await jest(set, copy, limit);
      seconds += run.seconds;
      const { outcome, test } = run;
      if (outcome === 'failed') return { verdict: 'caught', seconds, test: set === by ? undefined : test };
      if (outcome === 'broken') return { verdict: 'BROKEN', seconds };
      // Tests that are merely slow would do the same: that no test fails in time is no proof.
      if (outcome === 'late') return { verdict: endless === true ? 'caught' : 'TIMED OUT', seconds };
    }
    return { verdict: 'SURVIVED', seconds };
  } finally {
    fs.writeFileSync(path, original);
  }
}

/** Runs the tests up to the first failure, in one process. */
function jest(tests: readonly string[], cwd: string, limit: number): Promise<Run> {
  return new Promise((resolve) => {
    const start = performance.now();
    // Long tests run for the mutants that name them.
    const named = tests.flatMap((path) => /([\w-]+)\.long\./.exec(path)?.[1] ?? []);
    const ignored = named.length > 0 ? `(?<!/(?:${named.join('|')}))\\.long\\.` : '\\.long\\.';
    const chosen = ['--testMatch', '**/test/**/*.test.ts', '--testPathIgnorePatterns', ignored, '--', ...tests];
    const bin = join(cwd, 'node_modules', 'jest', 'bin', 'jest.js');
    const reporter = `--reporters=${join(cwd, 'test', 'mutants', 'first-failure.mjs')}`;
    const options = ['--bail', '--forceExit', '--silent', '--runInBand', `--testTimeout=${TEST_TIMEOUT}`, reporter];
    const child = spawn(process.execPath, [bin, ...options, ...chosen], {
      cwd,
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    const kill = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL'); // with what it has started
    };
    let [outcome, test]: [Run['outcome'] | undefined, string | undefined] = [undefined, undefined];
    let printed = '';
    child.stdout.on('data', (data: Buffer) => {
      printed += data.toString();
      if (outcome !== undefined) return;
      test = /^failed: (.*)$/m.exec(printed)?.[1];
      if (test !== undefined) outcome = 'failed';
      else if (/^broken$/m.test(printed)) outcome = 'broken';
      else return;
      kill();
    });
    const timer = setTimeout(() => {
      outcome ??= 'late';
      kill();
    }, limit);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({
        outcome: outcome ?? (code === 0 ? 'passed' : 'broken'),
        seconds: (performance.now() - start) / 1000,
        test,
      });
    });
  });
}
