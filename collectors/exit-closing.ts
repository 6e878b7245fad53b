/** A collector, a serving, a batch server, or another object with a `close` method. */
export interface Closable {
  /** Delivers what is pending; `timeout` is in milliseconds. */
  close(options?: { timeout?: number }): Promise<unknown>;
}

export interface Registration {
  readonly stages: readonly (readonly Closable[])[];
  /** Milliseconds for all stages together. */
  readonly timeout: number;
}

/** Milliseconds by which a closable may miss its timeout, so that its own report of it arrives. */
const LATE = 20;
/** The part of the remaining time that a stage may use before the last: one that hangs leaves some to those after it. */
const SHARE = 0.75;
/** Beyond this setTimeout fires after one millisecond. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Closes what is registered, and what is registered meanwhile: the code that runs while a batcher is closed may make
 * another, a logger at its first line for one. In time, whatever the closables do.
 */
export async function closeAll(registrations: () => Iterable<Registration>, timeout: number): Promise<void> {
  const deadline = performance.now() + timeout;
  const begun = new Set<Registration>();
  for (;;) {
    const left = begun.size === 0 ? timeout : Math.max(0, deadline - performance.now());
    const next = [...registrations()].filter((each) => !begun.has(each));
    if (next.length === 0) return;
    for (const each of next) begun.add(each);
    await Promise.all(next.map((each) => closeStages(each.stages, Math.min(each.timeout, left))));
    if (left === 0) return; // even if each one that is closed registers another
  }
}

async function closeStages(stages: Registration['stages'], timeout: number): Promise<void> {
  const deadline = performance.now() + timeout;
  for (const [index, stage] of stages.entries()) {
    const left = Math.max(0, deadline - performance.now());
    const share = index === stages.length - 1 ? 1 : SHARE;
    // The first sees the number that was asked for.
    await closeStage(stage, (index === 0 ? timeout : left) * share);
  }
}

function closeStage(stage: readonly Closable[], timeout: number): Promise<void> {
  return new Promise((resolve) => {
    let open = stage.length;
    const late = (): void => {
      warn(new Error(`flushOnExit: ${open} of ${stage.length} did not close within ${timeout} ms`));
      resolve();
    };
    const timer = setTimeout(late, Math.min(timeout + LATE, LONGEST_TIMER));
    const done = (): void => {
      if (--open > 0) return;
      clearTimeout(timer);
      resolve();
    };
    if (open === 0) done();
    for (const each of stage) void closeOne(each, timeout).then(done);
  });
}

async function closeOne(closable: Closable, timeout: number): Promise<void> {
  try {
    await closable.close({ timeout });
  } catch (error) {
    warn(error);
  }
}

/** Never throws: the process has to end. */
function warn(error: unknown): void {
  try {
    process.emitWarning(error instanceof Error ? error : new Error(String(error)));
  } catch {
    // A program has replaced emitWarning, or an object cannot be made a string.
  }
}
