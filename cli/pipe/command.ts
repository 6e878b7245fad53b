import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, fstatSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Milliseconds between asking a command to end and ending it. */
const GRACE = 1000;

/** Why a run of the command has failed. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    message: string,
    /** Its standard output has no reader any more: that will not change. */
    readonly brokenPipe = false,
  ) {
    super(message);
  }
}

export interface CommandOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Milliseconds for a run; 0: no limit. */
  readonly timeout: number;
}

/** Runs the command, and ends what runs. */
export class Command {
  readonly #options: CommandOptions;
  readonly #running = new Set<ChildProcess>();

  constructor(options: CommandOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Resolves when the command has ended with 0; rejects with `CommandError`. */
  run(input: readonly Buffer[], env: Readonly<Record<string, string>>): Promise<void> {
    const { command, args, timeout } = this.#options;
    return new Promise((resolve, reject) => {
      // In a group of its own, so that Ctrl-C reaches this process alone, which then delivers what it has read.
      const child = spawn(command, args, {
        stdio: ['pipe', 'inherit', 'inherit'],
        env: { ...process.env, ...env },
        detached: true,
      });
      this.#running.add(child);
      let late = false;
      const timer =
        timeout === 0
          ? undefined
          : setTimeout(() => {
              late = true;
              end(child);
            }, timeout);
      const ended = (error?: Error): void => {
        clearTimeout(timer);
        this.#running.delete(child);
        child.stdin.destroy();
        if (error === undefined) resolve();
        else reject(error);
      };
      child.once('error', (error) => {
        ended(new CommandError(`cannot run ${command}: ${error.message}`));
      });
      child.once('exit', (code, signal) => {
        if (late) ended(new CommandError(`took longer than ${timeout} ms`));
        else if (signal !== null) ended(new CommandError(`ended by ${signal}`, signal === 'SIGPIPE' && isPipe(1)));
        else if (code !== 0) ended(new CommandError(`exit code ${String(code)}`));
        else ended();
      });
      // It may close its input early: whether the run has succeeded is for its exit code to say.
      child.stdin.on('error', () => undefined);
      child.stdin.cork();
      for (const buffer of input) child.stdin.write(buffer);
      child.stdin.end();
    });
  }

  /** Resolves when none runs. */
  async ended(): Promise<void> {
    await Promise.all([...this.#running].map((child) => new Promise((resolve) => child.once('exit', resolve))));
  }

  /** Ends all that run. */
  stop(): void {
    for (const child of this.#running) end(child);
  }
}

/** The whole group, since the command may be a shell. */
function end(child: ChildProcess): void {
  signal(child, 'SIGTERM');
  const timer = setTimeout(() => {
    signal(child, 'SIGKILL');
  }, GRACE);
  child.once('exit', () => {
    clearTimeout(timer);
    signal(child, 'SIGKILL'); // what it has left running
  });
}

function signal({ pid }: ChildProcess, name: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}

function isPipe(descriptor: number): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isFIFO() || stats.isSocket();
  } catch {
    return false;
  }
}

/** Why the command cannot be run, before anything is read; `undefined` if it can. */
export function whyNotRunnable(command: string): string | undefined {
  const folders = command.includes('/') ? [''] : (process.env['PATH'] ?? '/usr/bin:/bin').split(delimiter);
  let found = false;
  for (const folder of folders) {
    const path = command.includes('/') ? command : join(folder, command);
    try {
      const stats = statSync(path);
      if (stats.isDirectory() && command.includes('/')) return `${command}: is a directory`;
      if (!stats.isFile()) continue;
      found = true;
      accessSync(path, constants.X_OK);
      return undefined;
    } catch {
      // The next folder may have it.
    }
  }
  return found ? `${command}: permission denied` : `${command}: command not found`;
}
