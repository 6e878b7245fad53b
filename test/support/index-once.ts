import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { bundledIndexing } from './bundled-indexing.js';

export interface Run {
  code: number | null;
  output: string;
  errors: string;
}

/** As a user starts it. Not through the `tsx` command, which kills a program that is slow to notice a signal. */
export const asUsers = ['--import', 'tsx', resolve('examples/document-indexing/main.ts')];

/** Starts the program without its page; `onOutput` sees what it has printed so far, and may send it a signal. */
export async function indexOnce(
  args: readonly string[],
  onOutput?: (output: string, kill: (signal: NodeJS.Signals) => void) => void,
  program?: readonly string[],
): Promise<Run> {
  program ??= [await bundledIndexing()];
  // What the machine's environment says about databases is not meant for this test.
  const child = spawn(process.execPath, [...program, '--no-server', ...args], {
    env: { ...process.env, DATABASE_URL: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new Promise<Run>((resolveRun, reject) => {
    const result: Run = { code: null, output: '', errors: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      result.output += text;
      onOutput?.(result.output, (signal) => child.kill(signal));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      result.errors += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolveRun({ ...result, code }));
  });
}
