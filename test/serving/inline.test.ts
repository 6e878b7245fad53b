import { BatchServing, OptionsError, TimeoutError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled } from '../support/collectors.js';

// The same work in the caller: what holds for batches holds there.

test('handlerTimeout: TimeoutError, the signal aborts, a late answer is ignored', async () => {
  const clock = new TestClock();
  const handle = gate<[readonly number[], { signal: AbortSignal; inline: boolean }], number[]>();
  const serving = new BatchServing<number, number>({ clock, handlerTimeout: 50, handleBatch: handle });
  const call = Promise.allSettled([serving.inline(1)]);
  await settled();
  await clock.advance(50);
  expect(await call).toMatchObject([{ reason: expect.any(TimeoutError) as unknown }]);
  expect(handle.calls[0]?.[1]).toMatchObject({ inline: true, signal: { aborted: true } });
  handle.open([1]);
  await settled();
  expect(clock.pendingTimers).toBe(0);
});

test('1 => fails => fails => 1 (retry), with a fresh list each time; not after close', async () => {
  const clock = new TestClock();
  const seen: string[] = [];
  const serving = new BatchServing({
    clock,
    batchSize: 3,
    retry: { attempts: 3, minDelay: 10, jitter: false },
    handleBatch: (values: readonly number[], { attempt }) => {
      seen.push(`${values.join()} (${String(attempt)})`);
      const results = (values as number[]).splice(0);
      if (attempt < 3) throw new Error('not yet');
      return results;
    },
  });
  const call = serving.inlineMany([1, 2]);
  await settled();
  for (const wait of [10, 20]) await clock.advance(wait);
  expect(await call).toEqual([1, 2]);
  expect(seen).toEqual(['1,2 (1)', '1,2 (2)', '1,2 (3)']);
  const given = Promise.allSettled([serving.inline(7)]);
  await serving.close();
  await clock.advance(1000);
  expect(await given).toMatchObject([{ reason: { message: 'not yet' } }]);
  expect(seen.at(-1)).toBe('7 (1)');
});

test('options were ignored without a word: there are none in the caller', async () => {
  const seen: number[] = [];
  const handleBatch = (values: readonly number[]): readonly number[] => {
    seen.push(...values);
    return values;
  };
  const serving = new BatchServing({ handleBatch });
  const options = { timeout: 10 } as unknown as undefined;
  await expect(serving.inline(1, options)).rejects.toBeInstanceOf(OptionsError);
  await expect(serving.inlineMany([1], options)).rejects.toBeInstanceOf(OptionsError);
  await expect(serving.inlineStream([1], options).next()).rejects.toBeInstanceOf(OptionsError);
  expect(seen).toEqual([]);
});

describe('a reader who left an inlineStream left its handler behind', () => {
  type Context = { signal: AbortSignal; hooks: { progress: { all(payload: unknown): void } } };
  const make = (retry: false | { attempts: number } = false) => {
    const handle = gate<[readonly number[]], number[]>();
    const contexts: Context[] = [];
    const clock = new TestClock();
    const serving = new BatchServing<number, number, undefined, 'progress'>({
      clock,
      batchSize: 2,
      retry,
      hooks: ['progress'],
      handleBatch: (values, context) => {
        contexts.push(context);
        context.hooks.progress.all('begun');
        return handle(values);
      },
    });
    return { handle, contexts, clock, serving };
  };

  test.each(['breaks off', 'throws'])('who %s: the signal aborts, and close waits for the handler', async (how) => {
    const { handle, contexts, serving } = make();
    const read = async (): Promise<void> => {
      for await (const event of serving.inlineStream([1, 2, 3])) {
        expect(event.type).toBe('progress');
        if (how === 'throws') throw new Error('the reader');
        break;
      }
    };
    await Promise.allSettled([read()]);
    expect(contexts[0]?.signal.aborted).toBe(true);
    let closed = false;
    const closing = serving.close().then(() => (closed = true));
    await settled();
    expect(closed).toBe(false);
    handle.open([1, 2]);
    await closing;
    expect(handle.calls).toHaveLength(1);
  });

  test.each(['return', 'throw'] as const)(
    'who calls %s while a read is under way, as Readable.from does',
    async (end) => {
      const { handle, contexts, serving } = make();
      const events = serving.inlineStream([1, 2, 3]);
      await events.next();
      const reading = events.next();
      const ended = events[end]?.(undefined).catch(() => undefined);
      await settled();
      expect(contexts[0]?.signal.aborted).toBe(true);
      handle.open([1, 2]);
      await Promise.all([reading, ended]);
      expect(await events.next()).toEqual({ done: true, value: undefined });
      expect(handle.calls).toHaveLength(1);
      await serving.close();
    },
  );

  test('who ends it while its source is being read: what comes then is not executed', async () => {
    const { handle, serving } = make();
    const answer = gate<[], IteratorResult<number>>();
    const source = { [Symbol.asyncIterator]: () => ({ next: answer }) };
    const events = serving.inlineStream(source);
    const reading = events.next();
    await settled();
    const ended = events.return?.(undefined);
    answer.open({ done: false, value: 1 });
    await settled();
    answer.open({ done: false, value: 2 });
    expect(await reading).toEqual({ done: true, value: undefined });
    await ended;
    expect(handle.calls).toHaveLength(0);
    await serving.close();
  });

  test('nothing is tried again for it, and close gives up after its timeout', async () => {
    const { handle, clock, serving } = make({ attempts: 3 });
    const leave = async (): Promise<void> => {
      for await (const event of serving.inlineStream([1])) if (event.type === 'progress') break;
    };
    await leave();
    handle.fail(new Error('no'));
    await settled();
    await clock.advance(60_000);
    expect(handle.calls).toHaveLength(1);
    await leave();
    const closing = serving.close({ timeout: 50 });
    await clock.advance(50);
    await closing;
    expect(clock.pendingTimers).toBe(0);
  });
});
