import { spawn, type ChildProcess } from 'node:child_process';
import { moduleOf } from './built.js';
import { root } from './project.js';

// Programs that run in a process of their own, with what is built from the sources in place of the installed package.

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  lines: string[];
  stderr: string;
}

const prelude = `
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryBatcher, flushOnExit } from ${moduleOf('collectors/index.ts')};
const say = (line) => process.stdout.write(line + '\\n');
/** A batcher whose sink takes a moment, and says what it stored. */
const batcherOf = (name, options = {}) => new MemoryBatcher({
  async batchFlush({ items }) { say(name + ' began'); await sleep(options.takes ?? 50); say(name + ' ' + JSON.stringify(items)); },
  ...options.batcher,
});
/** As a server would: nothing of ours keeps the process alive, or lets it end. */
const stayAlive = () => setInterval(() => {}, 1000);
`;

/**
 * Runs a program to its end; `react` sees each line it prints. One that does not end in 50 s is killed.
 * `through` puts another command in front, which runs it in a process group of its own.
 */
export function child(
  program: string,
  react: (line: string, child: ChildProcess) => void = () => {},
  through: readonly string[] = [],
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const node = [globalThis.process.execPath, '--input-type=module', '--eval', prelude + program];
    const [command = '', ...args] = [...through, ...node];
    const detached = through.length > 0;
    const process = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 50_000,
      killSignal: 'SIGKILL',
      detached,
    });
    const ended: Ended = { code: null, signal: null, lines: [], stderr: '' };
    let rest = '';
    process.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        ended.lines.push(line);
        react(line, process);
      }
    });
    process.stderr.on('data', (chunk: Buffer) => (ended.stderr += chunk.toString()));
    process.on('error', reject);
    process.on('close', (code, signal) => {
      resolve({ ...ended, code, signal });
    });
  });
}

/** Sends the signal when the child prints the line. */
export const on =
  (line: string, signal: NodeJS.Signals) =>
  (said: string, process: ChildProcess): void => {
    if (said === line) process.kill(signal);
  };
