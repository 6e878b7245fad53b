import { constants } from 'node:os';

export interface Interrupt {
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** 130 after Ctrl-C, 143 after SIGTERM, 0 as long as nothing came. */
  exitCode(): number;
}

/** npm, and tsx too, pass the terminal's Ctrl-C on to a program that has already received it from the terminal. */
const ECHO_MS = 500;

/** The first signal asks the program to finish what it has begun, the second one ends it. */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  let code = 0;
  let first = 0;
  endWithNpm(() => process.kill(process.pid, 'SIGTERM'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) {
        if (performance.now() - first > ECHO_MS) process.exit(code);
        return;
      }
      code = 128 + constants.signals[name];
      first = performance.now();
      controller.abort(new Error(`stopped by ${name}`));
    });
  }
  return { signal: controller.signal, exitCode: () => code };
}

/** `undefined` when the signal comes first: what takes long at the start must not hold Ctrl-C. */
export async function unlessInterrupted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  let leave: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (leave !== undefined) signal.removeEventListener('abort', leave);
  }
}

/** npm does not pass SIGTERM on, and what it has started would stay behind without it. */
function endWithNpm(end: () => void): void {
  if (process.env['npm_lifecycle_event'] !== 'start') return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    end();
  }, 500);
  timer.unref();
}
