import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { MemoryBatcher, TestClock } from '../../lib/batch-please.js';
import { turn } from '../../lib/sink.js';

const never = () => new Promise(() => {});
const ignore = () => {};

/** Each makes n batches (of one item) end badly; what it returns is how many did. */
const KINDS = {
  /** Queued behind a sink that does not answer, when the time of `close` is up. */
  async closed(n, meter) {
    const batcher = quiet({ maxBatchSize: 1, batchFlush: never });
    for (let i = 0; i < n; i++) batcher.addItem(i);
    await meter.start();
    const error = await batcher.close({ timeout: 0 }).catch((reason) => reason);
    await meter.stop();
    return error.undelivered;
  },
  /** Queued, and dropped for newer ones. */
  async dropped(n, meter) {
    const batcher = quiet({ maxBatchSize: 1, maxPending: n, overflow: 'dropOldest', batchFlush: never });
    for (let i = 0; i < n; i++) batcher.addItem(i);
    await meter.start();
    await inTurns(n, (i) => batcher.addItem(i));
    await meter.stop();
    // The newer ones are pending, and kept until the process ends: it would deliver them first.
    batcher.clear();
    return batcher.state.counts.dropped;
  },
  /** Callers that wait for room, and give up. */
  async aborted(n, meter) {
    const batcher = quiet({ maxBatchSize: 1, maxPending: 1, batchFlush: never });
    batcher.addItem(0);
    const waiting = [];
    for (let i = 0; i < n; i++) {
      const abort = new AbortController();
      waiting.push({
        abort,
        done: batcher.deliverItem(i, { signal: abort.signal }).then(
          () => 0,
          () => 1,
        ),
      });
    }
    await meter.start();
    await inTurns(n, (i) => waiting[i].abort.abort());
    const left = await Promise.all(waiting.map(({ done }) => done));
    await meter.stop();
    return left.reduce((a, b) => a + b, 0);
  },
  /** In flight, and longer than `flushTimeout`. */
  async timedOut(n, meter) {
    const batcher = quiet({
      maxBatchSize: 1,
      flushConcurrency: Infinity,
      flushTimeout: 200,
      retry: false,
      giveUp: 'drop',
      batchFlush: never,
    });
    for (let i = 0; i < n; i++) batcher.addItem(i);
    await meter.start();
    while (batcher.state.pending > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await meter.stop();
    return batcher.state.counts.dropped;
  },
  /** The same batch, again and again. */
  async failing(n, meter) {
    let attempts = 0;
    // A delay of 0 waits a millisecond: by the clock of the machine a million attempts would take a quarter of an hour.
    const clock = new TestClock();
    const batcher = quiet({
      clock,
      maxBatchSize: 1,
      retry: { minDelay: 0, delay: () => 0 },
      batchFlush: () => {
        attempts++;
        throw new Error('no');
      },
    });
    batcher.addItem(0);
    await meter.start();
    await clock.advance(n);
    await meter.stop();
    batcher.clear();
    return Math.min(attempts, n);
  },
};

/** A hundred calls in each turn of the event loop, as the loop of a caller who makes them all would count as ours. */
async function inTurns(n, call) {
  for (let i = 0; i < n; i++) {
    call(i);
    if (i % 100 === 99) await turn();
  }
}

function quiet(options) {
  const batcher = new MemoryBatcher(options);
  for (const event of ['failed', 'held', 'dropped', 'refused', 'closed']) batcher.on(event, ignore);
  return batcher;
}

/** Milliseconds, several times the resolution: the monitor counts what lies between two of its looks. */
const LOOKS = 10;

export async function run({ kind, n }, meter) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = memory();
  const watched = {
    async start() {
      delay.enable();
      await pause(LOOKS);
      meter.start();
    },
    async stop() {
      meter.stop();
      await pause(LOOKS);
      delay.disable();
    },
  };
  const count = await KINDS[kind](n, watched);
  if (count !== n) return { failed: `${count} of ${n} ended as they should` };
  return { count, blocked: delay.max / 1e6, bytes: Math.max(memory() - before, 0) };
}

function memory() {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
