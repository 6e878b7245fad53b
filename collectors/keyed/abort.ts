const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `fn` when the signal aborts; returns a function that calls it off. However many wait on a signal, it has one
 * listener: Node would report more as a leak.
 */
export function onAbort(signal: AbortSignal, fn: () => void): () => void {
  let all = waiting.get(signal);
  if (all === undefined) {
    const made = (all = new Set<() => void>());
    waiting.set(signal, made);
    const abort = (): void => {
      for (const each of made) each();
    };
    signal.addEventListener('abort', abort, { once: true });
  }
  const mine = all;
  mine.add(fn);
  return () => void mine.delete(fn);
}
