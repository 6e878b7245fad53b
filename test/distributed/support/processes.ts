import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const children = join(process.cwd(), 'test/distributed/children');
const running = new Set<ChildProcess>();

export interface Child {
  /** Of the last message of each `type` that it has sent. */
  readonly said: Map<string, unknown>;
  readonly heard: Record<string, unknown>[];
  readonly process: ChildProcess;
  send(message: string): void;
  kill(signal?: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
}

/** A process of `test/distributed/children`. Resolves when it says that it is up. */
export async function start(
  name: string,
  args: readonly (string | number)[],
  env: Record<string, string | number> = {},
): Promise<Child> {
  const child = fork(join(children, `${name}.ts`), args.map(String), {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, ...Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)])) },
  });
  running.add(child);
  const heard: Record<string, unknown>[] = [];
  const said = new Map<string, unknown>();
  const exited = once(child, 'exit').then(([code]) => {
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

export function sleep(delay: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delay);
  });
}

/** Looks every 20 ms. Real processes have no clock of ours. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limit = 30_000): Promise<void> {
  const end = Date.now() + limit;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await sleep(20);
  }
}
