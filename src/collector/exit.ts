/** The part of Node's process that is used; a browser has none, and no such moment. */
interface ProcessLike {
  on?: (event: 'beforeExit', listener: () => void) => void;
}

export interface Flushable {
  flush(): Promise<void>;
  /** The process ends although it was flushed: says so if something is pending all the same. */
  ends(): void;
}

/** One for all copies of the package in a process (ESM and CommonJS, hot reloads), which has one listener. */
interface Registry {
  readonly version: 1;
  readonly pending: Set<Flushable>;
  /** Our listener has been called, and no batch was begun since; other listeners may yet begin one. */
  ending?: boolean;
}

const REGISTRY = Symbol.for('batch-please.beforeExit');
let registry: Registry | undefined;

/** From then on batches may be begun by listeners of `beforeExit`: one that is added while they are called is not. */
export function watchBeforeExit(): Registry {
  return (registry ??= sharedRegistry());
}

/** While something is pending here, it is flushed once when the process would end by itself. */
export function flushBeforeExit(batcher: Flushable): void {
  const shared = watchBeforeExit();
  shared.pending.add(batcher);
  if (shared.ending !== true) return;
  shared.ending = false;
  turnOnce();
}

export function leaveBeforeExit(batcher: Flushable): void {
  registry?.pending.delete(batcher);
}

function sharedRegistry(): Registry {
  const found = Reflect.get(globalThis, REGISTRY) as Partial<Registry> | undefined;
  if (found?.version === 1 && found.pending instanceof Set) return found as Registry;
  const made: Registry = { version: 1, pending: new Set() };
  // A value of another kind stays: this copy then listens on its own.
  if (found === undefined) Reflect.defineProperty(globalThis, REGISTRY, { value: made, configurable: true });
  // Stays for good: a listener on and off again with each batch would cost more than the rest of the batch.
  let flushed: Flushable[] = [];
  (globalThis as { process?: ProcessLike }).process?.on?.('beforeExit', () => {
    // Nothing that they wait for keeps the process: a sink hangs, or a batch is held. Items that came since are flushed yet.
    for (const batcher of flushed) if (!made.pending.has(batcher)) batcher.ends();
    flushed = flushAll(made.pending);
    made.ending = true;
  });
  return made;
}

function flushAll(pending: Set<Flushable>): Flushable[] {
  const flushed = [...pending];
  for (const batcher of flushed) {
    // Once: what cannot be delivered would otherwise keep the process from ever ending.
    pending.delete(batcher);
    void batcher.flush();
  }
  // Items may have been added meanwhile, and some may still be pending.
  if (flushed.length > 0) turnOnce();
  return flushed;
}

/** A pending task turns the event loop once more, after which `beforeExit` is emitted again. */
function turnOnce(): void {
  setTimeout(() => undefined, 0);
}
