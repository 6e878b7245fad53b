import { spawn } from 'node:child_process';
import { sceneOf } from './compile.js';
import type { Orders } from './scene.js';

export interface Stage {
  /** Shell commands that limit the process. */
  readonly limits?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  /** It ends itself by SIGKILL. */
  readonly killed?: boolean;
  readonly flags?: readonly string[];
}

/** Milliseconds; a process that takes longer hangs, however slow the machine is. */
const STUCK = 500_000;

/** Runs a scene in a process of its own; answers its last words. */
export function play<Words>(
  compiled: string,
  orders: Orders,
  { limits = ':', env, uid, killed = false, flags = [] }: Stage = {},
): Promise<Words> {
  return new Promise((resolve, reject) => {
    const words = [process.execPath, ...flags, sceneOf(compiled), JSON.stringify(orders)];
    const child = spawn('sh', ['-c', `${limits} && exec "$@"`, 'sh', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(uid !== undefined && { uid, gid: uid }),
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    const timer = setTimeout(() => {
      errors += 'it hangs';
      child.kill('SIGKILL');
    }, STUCK);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const last = output.trim().split('\n').at(-1) ?? '';
      const well = killed ? signal === 'SIGKILL' && last !== '' : code === 0;
      if (well) resolve(JSON.parse(last) as Words);
      else reject(new Error(`${orders.scene} ended with ${code ?? signal ?? 'nothing'}: ${errors}${output}`));
    });
  });
}
