interface Listening {
  readonly waiting: Set<() => void>;
  readonly listener: () => void;
}

const signals = /* @__PURE__ */ new WeakMap<AbortSignal, Listening>();

/**
 * Calls `fn` when the signal aborts; returns a function that calls it off. However many wait on a signal, it has one
 * listener: Node would report more as a leak.
 */
export function onAbort(signal: AbortSignal, fn: () => void): () => void {
  const { waiting, listener } = signals.get(signal) ?? listenTo(signal);
  waiting.add(fn);
  return () => {
    if (!waiting.delete(fn) || waiting.size > 0 || signal.aborted) return;
    signals.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

function listenTo(signal: AbortSignal): Listening {
  const waiting = new Set<() => void>();
  const listener = (): void => {
    signals.delete(signal);
    for (const fn of [...waiting]) fn();
  };
  const listening = { waiting, listener };
  signals.set(signal, listening);
  signal.addEventListener('abort', listener, { once: true });
  return listening;
}
