/** The part of Node's process that is used; a browser has none, and no such moment. */
interface ProcessLike {
  on?: (event: 'beforeExit', listener: () => void) => void;
}

interface Flushable {
  flush(): Promise<void>;
}

const pending = new Set<Flushable>();
let listening = false;

/** While something is pending here, it is flushed once when the process would end by itself. */
export function flushBeforeExit(batcher: Flushable): void {
  pending.add(batcher);
  // Stays for good: a listener on and off again with each batch would cost more than the rest of the batch.
  if (!listening) theProcess()?.on?.('beforeExit', flushAll);
  listening = true;
}

export function leaveBeforeExit(batcher: Flushable): void {
  pending.delete(batcher);
}

function flushAll(): void {
  for (const batcher of [...pending]) {
    // Once: what cannot be delivered would otherwise keep the process from ever ending.
    leaveBeforeExit(batcher);
    void batcher.flush();
  }
  // What was added meanwhile: something to do makes the event loop turn again, and this moment come again.
  if (pending.size > 0) setTimeout(() => undefined, 0);
}

function theProcess(): ProcessLike | undefined {
  return (globalThis as { process?: ProcessLike }).process;
}
