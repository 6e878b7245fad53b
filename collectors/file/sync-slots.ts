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

const running = new Set<Running>();
/** The syncs that wait, by directory; the one that has waited longest for its turn is first. */
const waiting = new Map<string, (() => void)[]>();
let timer: NodeJS.Timeout | undefined;
let starting = false;

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
    const queue = waiting.get(directory);
    if (queue !== undefined) queue.push(start);
    else if (isFree(directory)) start();
    else {
      waiting.set(directory, [start]);
      startWaiting();
    }
  });
}

/**
 * A hung disk keeps the slots of its own directories only. While there is one, each directory has one slot: two threads
 * for each that hangs as well would soon be all.
 */
function isFree(directory: string): boolean {
  const now = performance.now();
  let active = 0;
  let own = 0;
  for (const entry of running) {
    const hung = now - entry.since >= HUNG_AFTER;
    if (hung && entry.directory === directory) return false;
    if (!hung) active++;
    if (entry.directory === directory) own++;
  }
  return active < CONCURRENT_SYNCS && (own === 0 || active === running.size);
}

function startWaiting(): void {
  if (starting) return; // by a sync that has failed at once: the loop goes on
  starting = true;
  for (let next = takeNext(); next !== undefined; next = takeNext()) next();
  starting = false;
  clearTimeout(timer);
  timer = undefined;
  if (waiting.size === 0) return;
  // Looks again when one of those that run counts as hung: its end may never come.
  timer = setTimeout(startWaiting, HUNG_AFTER);
  timer.unref();
}

function takeNext(): (() => void) | undefined {
  for (const [directory, queue] of waiting) {
    if (!isFree(directory)) continue;
    const next = queue.shift();
    waiting.delete(directory);
    if (queue.length > 0) waiting.set(directory, queue);
    return next;
  }
  return undefined;
}
