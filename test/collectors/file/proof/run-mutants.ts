import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.js';

// npm run test:mutants:file -- [--only text]: each mutant in a copy of the project, which some test has to turn red.
const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, lives: { type: 'string', default: '20000' } },
});

const COPIED = ['src', 'collectors', 'cli', 'test', 'package.json', 'tsconfig.json', 'jest.config.js'];
const root = process.cwd();
const copy = fs.mkdtempSync(join(tmpdir(), 'bp-mutants-'));

for (const name of COPIED) if (fs.existsSync(name)) fs.cpSync(name, join(copy, name), { recursive: true });
fs.symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** Its exit code, and what it printed. */
function run(command: string, args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    child.stderr.on('data', (text: Buffer) => (output += text.toString()));
    const end = (): void => {
      // With all that it has started.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const patience = setTimeout(end, 150_000);
    child.on('exit', (code) => {
      clearTimeout(patience);
      try {
        end();
      } catch {
        // None is left.
      }
      resolve({ code, output });
    });
  });
}

function check(by: Mutant['by']): Promise<{ code: number | null; output: string }> {
  if (by !== 'lives') return run('npx', ['jest', '--bail', '--forceExit', `test/${by}.test.ts`]);
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

let alive = 0;
let stale = 0;
let caught = 0;
try {
  const chosen = MUTANTS.filter(({ name }) => name.includes(values.only));
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
    const { code, output } = await check(by);
    fs.writeFileSync(path, original);
    if (code === 0) alive++;
    else caught++;
    console.log(`${code === 0 ? 'ALIVE  ' : 'caught '} ${name} (${by})${code === 0 ? '' : `: ${reasonOf(output)}`}`);
  }
  console.log(`${chosen.length} mutants: ${caught} caught, ${alive} alive, ${stale} stale`);
} finally {
  fs.rmSync(copy, { recursive: true, force: true });
}
process.exitCode = alive + stale === 0 ? 0 : 1;
