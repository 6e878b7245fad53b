import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.js';

// npm run test:mutants:file -- [--only text] [--by file]: each mutant in a copy of the project, which some test has to turn red.
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    by: { type: 'string', default: '' },
    lives: { type: 'string', default: '20000' },
  },
});

const COPIED = ['src', 'collectors', 'cli', 'test', 'package.json', 'tsconfig.json', 'jest.config.js'];
const root = process.cwd();
const copy = fs.mkdtempSync(join(tmpdir(), 'bp-mutants-'));

for (const name of COPIED) if (fs.existsSync(name)) fs.cpSync(name, join(copy, name), { recursive: true });
fs.symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** How a check has ended, and what it printed. `cut` is one that took too long, was killed, or did not begin: it says nothing. */
interface Ended {
  result: 'green' | 'red' | 'cut';
  output: string;
}

/** How jest begins a test that failed, and the lives one that did. */
const FINDING = /^ {2}● |^seed \d+: /m;

/** Milliseconds that one check may take: the lives of a mutant that survives are the longest. */
const LIMIT = 600_000;

function run(command: string, args: string[], env = process.env): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    child.stderr.on('data', (text: Buffer) => (output += text.toString()));
    const end = (): void => {
      // With all that it has started.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const limit = setTimeout(end, LIMIT);
    child.on('exit', (code) => {
      clearTimeout(limit);
      try {
        end();
      } catch {
        // None is left.
      }
      resolve({ result: code === 0 ? 'green' : code !== null && FINDING.test(output) ? 'red' : 'cut', output });
    });
  });
}

function check(by: Mutant['by']): Promise<Ended> {
  if (by !== 'lives') {
    const env = by.endsWith('.long') ? { ...process.env, LONG: '1' } : process.env;
    return run('npx', ['jest', '--bail', '--forceExit', `test/collectors/${by}.test.ts`], env);
  }
  return run('npx', ['tsx', 'test/collectors/file/proof/run.ts', '--runs', values.lives, '--failures', '1']);
}

function reasonOf(output: string): string {
  const lines = output.split('\n').map((line) => line.trim());
  return (
    lines.find((line) => /\b[AG]\d+\b.*:/.test(line) && !/^[✓✕●]|^PASS|^FAIL/.test(line)) ??
    lines.find((line) => /✕|rror/.test(line)) ??
    ''
  ).slice(0, 140);
}

const WORDS = { red: 'caught ', green: 'ALIVE  ', cut: 'CUT    ' };
const counts = { red: 0, green: 0, cut: 0 };
let stale = 0;
try {
  const chosen = MUTANTS.filter(({ name, by }) => name.includes(values.only) && by.includes(values.by));
  for (const { name, file, from, to, by } of chosen) {
    const path = join(copy, 'collectors', file);
    const original = fs.readFileSync(path, 'utf8');
    if (original.split(from).length !== 2) {
      stale++;
      console.log(`STALE   ${name}: its place in ${file} is not there, or not once`);
      continue;
    }
    fs.writeFileSync(
      path,
      original.replace(from, () => to),
    );
    const { result, output } = await check(by);
    fs.writeFileSync(path, original);
    counts[result]++;
    console.log(`${WORDS[result]} ${name} (${by})${result === 'red' ? `: ${reasonOf(output)}` : ''}`);
    if (result === 'cut') console.log(output.slice(-1000));
  }
  const { red, green, cut } = counts;
  console.log(`${chosen.length} mutants: ${red} caught, ${green} alive, ${cut} cut short, ${stale} stale`);
} finally {
  fs.rmSync(copy, { recursive: true, force: true });
}
process.exitCode = counts.green + counts.cut + stale === 0 ? 0 : 1;
