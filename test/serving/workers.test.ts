import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BatchServing, ClosedError, TimeoutError } from 'batch-please';
import { root } from '../support/project.js';

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

test.each(['wait', 'spin'])(
  'handlerTimeout ends a handler that would %s for ever',
  async (value) => {
    // Long, so that a thread of a machine under load answers a value that needs no time.
    await using own = serving({ partitions: { count: 1, worker }, handlerTimeout: 3000 });
    await own.dispatch('warm');
    const outcome = await own.tryDispatch(value);
    expect((outcome as { error?: unknown }).error).toBeInstanceOf(TimeoutError);
    expect(await own.dispatch('again')).toBe('again!');
  },
  60_000,
);

test('a module without a handler, or none at all, says so', async () => {
  for (const [url, message] of [
    ['data:text/javascript,export const x = 1', /exports no function handleBatch/],
    ['file:///nowhere.mjs', /nowhere/],
  ] as const) {
    await using own = serving({ partitions: { count: 1, worker: url } });
    await expect(own.dispatch('x')).rejects.toThrow(message);
  }
});

test('two partitions run at the same time: each blocks its thread until the other has come', async () => {
  const url = pathToFileURL(join(root, 'test', 'support', 'barrier-worker.mjs'));
  await using own = new BatchServing<object, string>({ partitions: { count: 2, worker: url } });
  const value = { barrier: new SharedArrayBuffer(4), count: 2 };
  expect(await Promise.all([own.dispatch(value), own.dispatch(value)])).toEqual(['together', 'together']);
}, 60_000);

test('what cannot be cloned, either way, fails its batch and leaves the thread alive', async () => {
  await using own = serving({ partitions: { count: 1, worker } });
  const unclonable = (() => 1) as never;
  expect(await own.tryDispatch(unclonable)).toMatchObject({ ok: false, error: { name: 'DataCloneError' } });
  expect(await own.tryDispatch('function')).toMatchObject({ ok: false, error: { name: 'DataCloneError' } });
  expect(await own.tryDispatch('thrown function')).toMatchObject({ ok: false, error: expect.any(String) as unknown });
  expect(await own.dispatch('again')).toBe('again!');
});

test('an init that fails in the worker is tried again before the next batch', async () => {
  const text = `let inits = 0;
    export function init() { if (++inits === 1) throw new RangeError('no model'); return inits; }
    export const handleBatch = (values, { state }) => values.map(() => state);`;
  const url = `data:text/javascript,${encodeURIComponent(text)}`;
  await using own = new BatchServing<string, number>({ partitions: { count: 1, worker: url } });
  expect(await own.tryDispatch('x')).toMatchObject({ ok: false, error: { name: 'RangeError', message: 'no model' } });
  expect(await own.dispatch('x')).toBe(2);
});

test('close ends a worker that never answers: its callers get ClosedError', async () => {
  const own = serving({ partitions: { count: 1, worker } });
  await own.dispatch('warm');
  const call = own.tryDispatch('spin');
  await expect(own.close({ timeout: 200 })).rejects.toMatchObject({ undelivered: 1 });
  expect(await call).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
});
