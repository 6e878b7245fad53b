import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BatchServing, TimeoutError } from 'batch-please';
import { root } from './support/project.js';

const worker = pathToFileURL(join(root, 'test', 'support', 'serving-worker.mjs'));

function serving(options: object = {}): BatchServing<string, unknown, undefined, 'progress'> {
  return new BatchServing<string, unknown, undefined, 'progress'>({
    partitions: { count: 2, worker },
    batchSize: 2,
    batchTimeout: 5,
    hooks: ['progress'],
    ...options,
  });
}

test('each partition has a thread and a state of its own', async () => {
  await using own = serving();
  const states = await own.dispatchMany(['who', 'who', 'who', 'who']);
  expect(states).toEqual([0, 0, 1, 1].map((partition) => ({ partition, batches: 1 })));
  expect(await own.inline('x')).toBe('x!');
});

test('hooks and errors cross the border, with name, message, code and fields', async () => {
  await using own = serving();
  const events: unknown[] = [];
  for await (const event of own.stream(['a', 'b', 'c'])) events.push(event);
  expect(events).toEqual([
    { type: 'progress', payload: ['a?', 'b?'] },
    { type: 'progress', payload: 'all' },
    { type: 'batch', output: ['a!', 'b!'] },
    { type: 'progress', payload: ['c?'] },
    { type: 'progress', payload: 'all' },
    { type: 'batch', output: ['c!'] },
  ]);
  const [slot, good] = await Promise.all([own.tryDispatch('slot'), own.tryDispatch('good')]);
  expect(slot).toMatchObject({ ok: false, error: { name: 'TypeError', message: 'slot', code: 'E_SLOT' } });
  expect(good).toEqual({ ok: true, value: 'good!' });
  const thrown = { name: 'RangeError', message: 'bad', code: 'E_BAD', field: { a: 1 } };
  expect(await own.tryDispatch('throw')).toMatchObject({ ok: false, error: thrown });
});

test('a worker that dies fails its batch, and is replaced', async () => {
  await using own = serving({ partitions: { count: 1, worker } });
  expect(await own.tryDispatch('exit')).toMatchObject({
    ok: false,
    error: { message: expect.stringMatching(/worker of partition 0 of BatchServing died/) as unknown },
  });
  expect(await own.dispatch('again')).toBe('again!');
});

test.each(['wait', 'spin'])('handlerTimeout ends a handler that would %s for ever', async (value) => {
  await using own = serving({ partitions: { count: 1, worker }, handlerTimeout: 1000 });
  await own.dispatch('warm');
  const outcome = await own.tryDispatch(value);
  expect((outcome as { error?: unknown }).error).toBeInstanceOf(TimeoutError);
  expect(await own.dispatch('again')).toBe('again!');
});

test('a module without a handler, or none at all, says so', async () => {
  for (const [url, message] of [
    ['data:text/javascript,export const x = 1', /exports no function handleBatch/],
    ['file:///nowhere.mjs', /nowhere/],
  ] as const) {
    await using own = serving({ partitions: { count: 1, worker: url } });
    await expect(own.dispatch('x')).rejects.toThrow(message);
  }
});
