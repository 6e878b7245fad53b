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
