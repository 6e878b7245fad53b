import { spawn, type SpawnOptions } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(__dirname, '..', '..');

/** Files under `directory`, as paths relative to it with `/`; none if it does not exist. */
export function filesUnder(directory: string): string[] {
  if (!statSync(directory, { throwIfNoEntry: false })) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(directory, path)).isFile())
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}

export interface Manifest {
  version: string;
  scripts: Record<string, string>;
  exports: Record<string, { import?: { default: string } } | undefined>;
  dependencies: Record<string, string>;
  peerDependencies?: Record<string, string>;
  bin?: Record<string, string>;
}

export function manifest(): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
}

export interface Outcome {
  /** `null` if it was killed, for instance at the limit. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, or kills it after `limit` milliseconds. */
export function run(command: string, args: readonly string[], cwd: string, limit = 300_000): Promise<Outcome> {
  const options: SpawnOptions = { cwd, timeout: limit, killSignal: 'SIGKILL', stdio: ['ignore', 'pipe', 'pipe'] };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options);
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    child.stdout?.on('data', (chunk: Buffer) => (outcome.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (outcome.stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ ...outcome, code });
    });
  });
}

/** The same, for programs that have to succeed: what they printed. */
export async function mustRun(command: string, args: readonly string[], cwd: string, limit?: number): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, cwd, limit);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}\n${stdout}\n${stderr}`);
  return stdout;
}
