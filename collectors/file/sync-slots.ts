/** Starts a sync, and calls `done` at its end. May throw instead. */
export type Sync = (done: (error: Error | null) => void) => void;

/** Node has four threads for files, and a sync may keep one for long: two must stay for all other work. */
const CONCURRENT_SYNCS = 2;

/** Milliseconds; a sync that has taken longer is a hung disk's, and stops counting: syncs of other directories go on. */
const HUNG_AFTER = 250;

interface Running {
  readonly directory: string;
  readonly since: number;
}

interface Waiting {
  readonly directory: string;
  readonly start: () => void;
}

const running = new Set<Running>();
const waiting: Waiting[] = [];
let timer: NodeJS.Timeout | undefined;

/** Runs the sync as soon as a slot is free for its directory; one that waits holds no descriptor of its own. */
export function syncInTurn(directory: string, sync: Sync): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = (): void => {
      const entry = { directory, since: performance.now() };
      running.add(entry);
      const end = (error: Error | null): void => {
        running.delete(entry);
        startWaiting();
        if (error === null) resolve();
        else reject(error);
      };
      try {
        sync(end);
      } catch (error) {
        end(error as Error);
      }
    };
    if (waiting.length === 0 && isFree(directory)) start();
    else {
      waiting.push({ directory, start });
      startWaiting();
    }
  });
}

/** A hung disk keeps the slots of its own directories only. */
function isFree(directory: string): boolean {
  const now = performance.now();
  let active = 0;
  for (const entry of running) {
    const hung = now - entry.since >= HUNG_AFTER;
    if (hung && entry.directory === directory) return false;
    if (!hung) active++;
  }
  return active < CONCURRENT_SYNCS;
}

function startWaiting(): void {
  clearTimeout(timer);
  timer = undefined;
  for (let index = 0; index < waiting.length;) {
    const next = waiting[index];
    if (next === undefined || !isFree(next.directory)) {
      index++;
      continue;
    }
    waiting.splice(index, 1);
    next.start();
    return; // a start that fails at once has looked at the rest already, and each end looks again
  }
  if (waiting.length === 0) return;
  // Looks again when one of those that run counts as hung.
  timer = setTimeout(startWaiting, HUNG_AFTER);
  timer.unref();
}
