import { PartialFlushError, TooLargeError } from 'batch-please';
import { bench, expectBalanced, settled, sink, watch, type Bench, type NumberOptions } from '../support/collectors.js';

/** The answer of each attempt: an error that it throws, or nothing. */
function hurried(answers: readonly unknown[], options: NumberOptions): Bench & { seen: unknown[] } {
  const seen: unknown[] = [];
  let attempts = 0;
  const made = bench({
    maxBatchSize: 2,
    batchFlush: ({ items }, { attempt }) => {
      seen.push([made.clock.now(), `flush ${items.join()}`, attempt]);
      const answer = answers[attempts++];
      if (answer !== undefined) throw answer as Error;
    },
    ...options,
    retry: { jitter: false, ...(options.retry as object) },
  });
  for (const name of ['flushed', 'failed', 'held'] as const) {
    made.batcher.on(name, (said) => {
      seen.push([made.clock.now(), `${name} ${said.size}`, said.attempt, ...('retryAt' in said ? [said.retryAt] : [])]);
    });
  }
  return { ...made, seen };
}

/** Adds 1 and 2, whose first attempt fails at 0, and hurries the second one at 50. */
async function hurryAt50({ clock, batcher }: Bench): Promise<ReturnType<typeof watch>> {
  batcher.addItems([1, 2]);
  await clock.advance(50);
  const flushed = watch(batcher.flush());
  await settled();
  return flushed;
}

test('A2: a hurried attempt that failed was counted against maxElapsed as if its batch had to wait anew', async () => {
  const made = hurried(['down', 'down'], { giveUp: 'drop', retry: { minDelay: 80, maxElapsed: 100 } });
  const flushed = await hurryAt50(made);
  await made.clock.advance(100);
  expect(made.seen).toEqual([
    [0, 'flush 1,2', 1],
    [0, 'failed 2', 1, 80],
    [50, 'flush 1,2', 2],
    [50, 'failed 2', 2, 80],
    [80, 'flush 1,2', 2],
    [80, 'flushed 2', 2],
  ]);
  expect(flushed.state).toBe('resolved');
});

test('A2: an attempt at the time when a hurried batch was due anyway is its last one, if the next would be too late', async () => {
  const flush = sink();
  const { batcher, clock, seen } = hurried([], { retry: { minDelay: 80, maxElapsed: 100 }, batchFlush: flush });
  batcher.addItems([1, 2]);
  flush.fail('down');
  await clock.advance(50);
  void batcher.flush();
  await clock.advance(10);
  flush.fail('down');
  await clock.advance(50);
  flush.fail('down');
  await settled();
  expect(seen).toEqual([
    [0, 'failed 2', 1, 80],
    [60, 'failed 2', 2, 80],
    [110, 'held 2', 2],
  ]);
});

test.each([
  ['held', 'hold'],
  ['dropped', 'drop'],
] as const)(
  'a batch that was %s after a hurried attempt was said to be so after the one before',
  async (fate, giveUp) => {
    const delay = ({ error }: { error: unknown }): false | undefined => (error === 'useless' ? false : undefined);
    const made = hurried(['down', 'useless'], { giveUp, retry: { delay } });
    const flushed = await hurryAt50(made);
    expect(flushed.error).toMatchObject({
      attempt: 2,
      message: `a batch of 2 is ${fate} after attempt 2: useless`,
    });
    expect(made.seen.slice(3)).toEqual(giveUp === 'hold' ? [[50, 'held 2', 2]] : []);
  },
);

test('a hurried attempt whose failure sets a delay was reported with the number of the one before', async () => {
  const delay = ({ error }: { error: unknown }): number | undefined => (error === 'busy' ? 30 : undefined);
  const made = hurried(['down', 'busy'], { retry: { delay } });
  await hurryAt50(made);
  await made.clock.advance(30);
  expect(made.seen.slice(2)).toEqual([
    [50, 'flush 1,2', 2],
    [50, 'failed 2', 2, 80],
    [80, 'flush 1,2', 2],
    [80, 'flushed 2', 2],
  ]);
});

test('TooLargeError in a hurried attempt gave its halves an attempt more than the batch had left', async () => {
  const made = hurried(['down', new TooLargeError(), 'down', undefined], { retry: { attempts: 2 } });
  await hurryAt50(made);
  expect(made.seen.slice(2)).toEqual([
    [50, 'flush 1,2', 2],
    [50, 'flush 1', 2],
    [50, 'held 1', 2],
  ]);
  expectBalanced(made.batcher);
});

test('what failed of a hurried attempt waited anew, and was reported with the number of the one before', async () => {
  const answers = ['down', new PartialFlushError([undefined, 'busy'])];
  const made = hurried(answers, {});
  const flushed = await hurryAt50(made);
  void made.batcher.flush(); // it has been hurried in this wait
  await made.clock.advance(50);
  expect(made.seen.slice(2)).toEqual([
    [50, 'flush 1,2', 2],
    [50, 'flushed 1', 2],
    [50, 'failed 1', 2, 100],
    [100, 'flush 2', 2],
    [100, 'flushed 1', 2],
  ]);
  expect(flushed.state).toBe('resolved');
});

test('what is given up of a hurried attempt is said to be so after that attempt', async () => {
  const delay = ({ error }: { error: unknown }): false | undefined => (error === 'useless' ? false : undefined);
  const made = hurried(['down', new PartialFlushError([undefined, 'useless'])], { retry: { delay } });
  const flushed = await hurryAt50(made);
  expect(made.seen.slice(3)).toEqual([
    [50, 'flushed 1', 2],
    [50, 'held 1', 2],
  ]);
  expect(flushed.error).toMatchObject({ size: 1, attempt: 2 });
});

test('flush() did not hurry a part that waited for its retry and had no lane yet: 2 at 0, not at 80', async () => {
  const post = sink();
  const partial = new PartialFlushError([undefined, new Error('later')]);
  const made = hurried([partial], { retry: { minDelay: 80 }, batchPostFlush: post });
  made.batcher.addItems([1, 2]);
  await settled();
  const flushed = watch(made.batcher.flush()); // batchPostFlush of 1 has the lane
  post.openAll();
  await settled();
  expect(made.seen).toEqual([
    [0, 'flush 1,2', 1],
    [0, 'flushed 1', 1],
    [0, 'failed 1', 1, 80],
    [0, 'flush 2', 2],
    [0, 'flushed 1', 2],
  ]);
  expect(flushed.state).toBe('resolved');
});
