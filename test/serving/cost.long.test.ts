import { BatchServing } from 'batch-please';

const CALLERS = 20_000;

interface Crowd {
  calls: Promise<unknown>[];
  leave: () => void;
}

type Serving = BatchServing<number, never>;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const serve = (batchSize: number): Serving =>
  new BatchServing<number, never>({ batchSize, handleBatch: () => new Promise(() => undefined) });

/** Those who share one signal. */
function sharing(call: (i: number, signal: AbortSignal) => Promise<unknown>): Crowd {
  const controller = new AbortController();
  return {
    calls: upTo(CALLERS).map((i) => call(i, controller.signal)),
    leave: () => {
      controller.abort(new Error('gone'));
    },
  };
}

/** Those who wait when the serving is closed; the values of the batch that runs stay. */
function turnedAway(serving: Serving, batchSize: number, call: (i: number) => Promise<unknown>): Crowd {
  return {
    calls: upTo(CALLERS + batchSize)
      .map(call)
      .slice(batchSize),
    leave: () => void serving.close({ pending: 'reject' }),
  };
}

const crowds: Record<string, () => Crowd> = {
  'an abort of the signal that all calls share': () => {
    const serving = serve(1);
    return sharing((i, signal) => serving.tryDispatch(i, { signal }));
  },
  'an abort of the signal that all calls of one batch share': () => {
    const serving = serve(CALLERS + 1);
    return sharing((i, signal) => serving.tryDispatch(i, { signal }));
  },
  'an abort of the signal that all streams share': () => {
    const serving = serve(1);
    return sharing((i, signal) =>
      serving
        .stream([i], { signal })
        .next()
        .catch((error: unknown) => error),
    );
  },
  'an abort of the signal that all share who wait for room': () => {
    const serving = new BatchServing<number, never>({ maxPending: 1, handleBatch: () => new Promise(() => undefined) });
    return sharing((i, signal) => serving.tryDispatch(i, { signal }));
  },
  "close({ pending: 'reject' }) with a batch for each call": () => {
    const serving = serve(1);
    return turnedAway(serving, 1, (i) => serving.tryDispatch(i));
  },
  "close({ pending: 'reject' }) with batches of calls that have options": () => {
    const serving = serve(100);
    return turnedAway(serving, 100, (i) => serving.tryDispatch(i, { timeout: 1e6 }));
  },
  "close({ pending: 'reject' }) with streams": () => {
    const serving = serve(1);
    return turnedAway(serving, 1, (i) =>
      serving
        .stream([i])
        .next()
        .catch((error: unknown) => error),
    );
  },
};

/** Callers that may settle between two looks: a portion in the turn of `leave`, the next one at its end, and a batch. */
const MOST = 2 * 1024 + 100;

// Counted and not timed: a busy machine, or code that is not compiled yet, may take long for a portion.
test.each(Object.entries(crowds))(
  `A10: the event loop was blocked for 0.1 to 0.6 s when ${CALLERS} callers left at once, all in one turn: %s`,
  async (_, make) => {
    const { calls, leave } = make();
    await new Promise((resolve) => setImmediate(resolve));
    let settled = 0;
    for (const call of calls) void call.then(() => settled++);
    const inTurns: number[] = [];
    leave();
    for (let before = 0; before < CALLERS; before = settled) {
      await new Promise((resolve) => setImmediate(resolve));
      inTurns.push(settled - before);
    }
    expect(Math.max(...inTurns)).toBeLessThanOrEqual(MOST);
  },
);
