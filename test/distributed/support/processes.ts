import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const children = join(process.cwd(), 'test/distributed/children');
const running = new Set<ChildProcess>();
let bundles: string | undefined;
/** Made once: a process that starts meanwhile would read a file that is half written. */
const made = new Set<string>();

/** A bundle starts ten times faster than a loader that compiles every file anew. */
function bundleOf(name: string): string {
  if (bundles === undefined) {
    // Within the project, so that packages are found.
    const data = join(process.cwd(), '.data');
    mkdirSync(data, { recursive: true });
    const folder = mkdtempSync(join(data, 'children-'));
    bundles = folder;
  }
  const outfile = join(bundles, `${name}.mjs`);
  if (made.has(name)) return outfile;
  made.add(name);
  buildSync({
    entryPoints: [join(children, `${name}.ts`)],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
  return outfile;
}

export interface Child {
  /** Of the last message of each `type` that it has sent. */
  readonly said: Map<string, unknown>;
  readonly heard: Record<string, unknown>[];
  readonly process: ChildProcess;
  send(message: string): void;
  kill(signal?: NodeJS.Signals): void;
  /** Resolves when all its messages were handled, too. */
  readonly exited: Promise<number | null>;
}

/** A process of `test/distributed/children`. Resolves when it says that it is up. */
export async function start(
  name: string,
  args: readonly (string | number)[],
  env: Record<string, string | number> = {},
): Promise<Child> {
  const child = fork(bundleOf(name), args.map(String), {
    execArgv: [],
    env: { ...process.env, ...Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)])) },
  });
  running.add(child);
  const heard: Record<string, unknown>[] = [];
  const said = new Map<string, unknown>();
  // Its last messages may be read after its end.
  const exited = Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(([[code]]) => {
    running.delete(child);
    return code as number | null;
  });
  const up = new Promise<void>((resolve, reject) => {
    child.on('message', (message: Record<string, unknown>) => {
      heard.push(message);
      for (const [key, value] of Object.entries(message)) said.set(key, value);
      if (message['up'] === true) resolve();
    });
    child.once('exit', (code) => reject(new Error(`${name} has ended with ${String(code)} before it was up`)));
  });
  await up;
  return {
    said,
    heard,
    process: child,
    exited,
    send: (message) => void child.send(message),
    kill: (signal = 'SIGKILL') => void child.kill(signal),
  };
}

/** What a test that failed left behind, frozen ones included. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

afterAll(() => {
  killAll();
  if (bundles !== undefined) rmSync(bundles, { recursive: true, force: true });
  bundles = undefined;
  made.clear();
});
