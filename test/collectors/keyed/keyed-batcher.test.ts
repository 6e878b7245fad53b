import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CloseError,
  ClosedError,
  FlushError,
  ItemError,
  MissingHookError,
  OptionsError,
  OverflowError,
} from 'batch-please';
import { type FileBatch, FileBatcher, KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';
import { type Watched, expectBalanced, settled, strayErrors, warnings, watch } from '../../support/collectors.js';
import { bench, gated, note, notes, shown } from './support.js';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('one batch per key', () => {
  test('5 = a:2 (size) + b:2 (size) + a:1 (demand); the key is in the context', async () => {
    const { batcher, flushed } = bench({ maxBatchSize: 2 });
    batcher.addItems(notes('a1 b1 a2 b2 a3'));
    expect(flushed).toEqual(['a:1,2 size', 'b:1,2 size']);
    await batcher.flush();
    expect(flushed[2]).toBe('a:3 demand');
    expectBalanced(batcher);
  });

  test('every trigger holds per key', async () => {
    const { batcher, flushed, clock } = bench({ maxTimeSinceFirstItem: 50, maxBatchWeight: 10, weigh: ({ n }) => n });
    batcher.addItem(note('a1'));
    await clock.advance(30);
    batcher.addItems(notes('b6 b5'));
    expect(flushed).toEqual(['b:6 weight']);
    await clock.advance(20);
    expect(flushed).toEqual(['b:6 weight', 'a:1 age']);
    await clock.advance(30);
    expect(flushed[2]).toBe('b:5 age');
  });

  test('shouldFlush sees the state of its key', () => {
    const { batcher, flushed } = bench({ shouldFlush: (state) => state.lastItem?.n === 9 });
    batcher.addItems(notes('a1 b9 a2'));
    expect(flushed).toEqual(['b:9 shouldFlush']);
    expect(batcher.state.pending).toBe(2);
  });

  test('keys are compared as those of a Map: NaN, undefined and objects are keys', async () => {
    const object = {};
    const seen: unknown[] = [];
    const batcher = new KeyedBatcher<{ k: unknown }, unknown>({
      key: ({ k }) => k,
      batchFlush: ({ items }, { key }) => void seen.push([key, items.length]),
    });
    for (const k of [Number.NaN, undefined, object, Number.NaN, undefined, {}]) batcher.addItem({ k });
    await batcher.flush();
    expect(seen).toEqual([
      [Number.NaN, 2],
      [undefined, 2],
      [object, 1],
      [{}, 1],
    ]);
  });

  test('hooks can be methods of a subclass', async () => {
    const flushed: string[] = [];
    class Tenants extends KeyedBatcher<string, string> {
      prefix = 'tenant ';
      override key(item: string): string {
        return this.prefix + item.slice(0, 1);
      }
      override batchFlush({ items }: { items: string[] }, { key }: { key: string }): void {
        flushed.push(`${key}: ${items.join()}`);
      }
    }
    const batcher = new Tenants({ maxBatchSize: 2 });
    batcher.addItems(['a1', 'b1', 'a2']);
    await batcher.close();
    expect(flushed).toEqual(['tenant a: a1,a2', 'tenant b: b1']);
  });

  test('batchDeadLetter, batchInit and batchTerminate are given the key', async () => {
    const seen: unknown[] = [];
    const { batcher } = bench({
      maxBatchSize: 1,
      retry: false,
      giveUp: 'drop',
      batchInit: (_options, key) => (seen.push(`init ${key}`), { items: [] }),
      batchFlush: () => Promise.reject(new Error('no')),
      batchDeadLetter: (_batch, error, key) => void seen.push(`${key}: ${(error as Error).message}`),
      batchTerminate: (batch, key) => void seen.push(['terminate', batch, key]),
    });
    batcher.on('dropped', ({ key, size }) => void seen.push(`dropped ${key} ${size}`));
    batcher.addItem(note('a1'));
    await settled();
    await batcher.close();
    expect(seen).toEqual(['init a', 'a: no', 'dropped a 1', ['terminate', undefined, undefined]]);
  });

  test('every event has the key; drained once nothing is pending over all keys', async () => {
    const { batcher, sink } = gated({ maxBatchSize: 1, flushConcurrency: 2, retry: { minDelay: 1, jitter: false } });
    const seen: string[] = [];
    for (const name of ['flushed', 'failed', 'refused', 'drained'] as const) {
      batcher.on(name, (event) => void seen.push(`${name} ${String(event.key)}`));
    }
    batcher.addItems(notes('a1 b1'));
    sink.fail(new Error('no'));
    await settled();
    sink.open();
    await settled();
    expect(seen).toEqual(['failed a', 'flushed b']);
  });

  test('order is kept per key, and batches of one key never overlap', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1, flushConcurrency: 4 });
    batcher.addItems(notes('a1 a2 b1 a3'));
    expect(began()).toEqual(['a:1 size', 'b:1 size']);
    sink.open();
    await settled();
    expect(began()).toEqual(['a:1 size', 'b:1 size', 'a:2 size']);
  });

  test('keyConcurrency: so many of one key at the same time', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1, flushConcurrency: 3, keyConcurrency: 2 });
    batcher.addItems(notes('a1 a2 a3 b1 c1'));
    expect(began()).toEqual(['a:1 size', 'a:2 size', 'b:1 size']);
    sink.open();
    await settled();
    expect(began().slice(3)).toEqual(['c:1 size']);
    sink.openAll();
    await batcher.close();
    expectBalanced(batcher);
  });
});

describe('lanes over all keys', () => {
  test('flushConcurrency holds over all keys: 1 by default', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1 });
    batcher.addItems(notes('a1 b1 c1'));
    expect(began()).toEqual(['a:1 size']);
    expect(batcher.state.inFlight).toEqual({ batches: 1, items: 1 });
    expect(batcher.state.waiting).toBe(2);
    sink.open();
    await settled();
    expect(began()).toEqual(['a:1 size', 'b:1 size']);
    sink.openAll();
    await batcher.close();
    expect(began()).toEqual(['a:1 size', 'b:1 size', 'c:1 size']);
  });

  test('are shared fairly: a hot key takes turns with cold ones', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1 });
    batcher.addItems(notes('h1 h2 h3 h4 a1 b1'));
    for (let i = 0; i < 6; i++) {
      sink.open();
      await settled();
    }
    expect(began().map((text) => text.slice(0, 1))).toEqual(['h', 'a', 'b', 'h', 'h', 'h']);
  });

  test('a batch that waits for a lane grows until there is one, if only time made it due', async () => {
    const { batcher, sink, began, clock } = gated({ maxTimeSinceFirstItem: 10 });
    batcher.addItems(notes('a1 b1'));
    await clock.advance(10);
    batcher.addItem(note('b2'));
    sink.open();
    await settled();
    expect(began()).toEqual(['a:1 age', 'b:1,2 age']);
  });

  test('waiting for a lane counts neither as duration nor for flushTimeout', async () => {
    const { batcher, sink, clock } = gated({ maxBatchSize: 1, flushTimeout: 100 });
    const events: string[] = [];
    batcher.on('flushed', ({ key, duration }) => void events.push(`${key} ${duration}`));
    batcher.on('failed', ({ key }) => void events.push(`${key} failed`));
    batcher.addItems(notes('a1 b1 c1'));
    for (let i = 0; i < 3; i++) {
      await clock.advance(60);
      sink.open();
      await settled();
    }
    expect(events).toEqual(['a 60', 'b 60', 'c 60']);
  });

  test('an attempt that took too long gives its lane to others, whatever its hook still does', async () => {
    const { batcher, began, clock } = gated({
      maxBatchSize: 1,
      flushTimeout: 100,
      retry: { minDelay: 1000, jitter: false },
    });
    batcher.on('failed', () => {});
    batcher.addItems(notes('a1 b1'));
    await clock.advance(100);
    expect(began()).toEqual(['a:1 size', 'b:1 size']);
  });

  test('a batch that waits for its retry holds no lane', async () => {
    const flushed: string[] = [];
    const { batcher, clock } = bench({
      maxBatchSize: 1,
      retry: { minDelay: 100, jitter: false },
      batchFlush(batch, context) {
        if (context.key === 'a' && context.attempt === 1) throw new Error('down');
        flushed.push(shown(batch, context));
      },
    });
    batcher.on('failed', () => {});
    batcher.addItems(notes('a1 b1'));
    await settled();
    expect(flushed).toEqual(['b:1 size']);
    await clock.advance(100);
    expect(flushed).toEqual(['b:1 size', 'a:1 size']);
  });

  test('a batch whose postFlush takes long keeps its key waiting, and no other', async () => {
    const { batcher, flushed, clock } = bench({
      maxBatchSize: 1,
      batchPostFlush: ({ items }) =>
        new Promise<void>((resolve) =>
          items[0]?.key === 'a' && items[0].n === 1 ? clock.setTimer(resolve, 50) : resolve(),
        ),
    });
    batcher.addItems(notes('a1 b1 a2'));
    await settled();
    expect(flushed).toEqual(['a:1 size', 'b:1 size']);
    await clock.advance(50);
    await settled();
    expect(flushed).toEqual(['a:1 size', 'b:1 size', 'a:2 size']);
  });

  test('an awaiting producer uses every lane: 40 items of 4 keys, 4 lanes, 10 ms each take 100 ms', async () => {
    const clock = new TestClock();
    const batcher = new KeyedBatcher<number, number>({
      clock,
      key: (n) => n % 4,
      maxBatchSize: 1,
      flushConcurrency: 4,
      batchFlush: () => new Promise<void>((resolve) => clock.setTimer(resolve, 10)),
    });
    const produced = (async () => {
      for (let i = 0; i < 40; i++) await batcher.syncAddItem(i);
    })();
    for (let i = 0; i < 12; i++) await clock.advance(10);
    await produced;
    await batcher.close();
    expect(batcher.state.counts.delivered).toBe(40);
    expect(clock.now()).toBeLessThanOrEqual(120);
  });

  test('unlimited lanes: every key at once', () => {
    const { batcher, began } = gated({ maxBatchSize: 1, flushConcurrency: Infinity });
    batcher.addItems(Array.from({ length: 100 }, (_, n) => ({ key: String(n), n })));
    expect(began()).toHaveLength(100);
  });

  test('1,000 keys and a sink that answers at once: no nesting, and each is served', async () => {
    const { batcher, flushed } = bench({ flushConcurrency: 2 });
    batcher.addItems(Array.from({ length: 5000 }, (_, n) => ({ key: String(n % 1000), n })));
    await batcher.flush();
    expect(flushed).toHaveLength(1000);
  });
});

describe('bounds over all keys', () => {
  test('highWaterMark: false from so many pending on', () => {
    const { batcher } = gated({ highWaterMark: 3 });
    expect(notes('a1 b1 c1').map((item) => batcher.addItem(item))).toEqual([true, true, false]);
  });

  test('maxPending: addItem refuses, deliverItem waits, first come first served', async () => {
    const { batcher, sink } = gated({ maxBatchSize: 1, maxPending: 2 });
    const errors: Error[] = [];
    batcher.addItems(notes('a1 b1'));
    expect(batcher.addItem(note('c1'), { onError: (error) => errors.push(error) })).toBe(false);
    expect(errors[0]).toBeInstanceOf(OverflowError);
    const [first, second] = [watch(batcher.deliverItem(note('c2'))), watch(batcher.deliverItem(note('d1')))];
    sink.open();
    await settled();
    expect(batcher.addItem(note('e1'), { onError: () => {} })).toBe(false);
    expect(batcher.state.pending).toBe(2);
    sink.openAll();
    await settled();
    expect([first.state, second.state]).toEqual(['resolved', 'resolved']);
    expectBalanced(batcher);
  });

  test('an add from a listener of flushed does not overtake a caller that waits for room', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1, maxPending: 1 });
    batcher.on('refused', () => {});
    batcher.on('flushed', ({ key }) => {
      if (key === 'a') expect(batcher.addItem(note('c1'))).toBe(false);
    });
    batcher.addItem(note('a1'));
    const waiting = watch(batcher.deliverItem(note('b1')));
    sink.openAll();
    await settled();
    expect(began()).toEqual(['a:1 size', 'b:1 size']);
    expect(waiting.state).toBe('resolved');
    expect(batcher.state.counts.refused).toBe(1);
  });

  test('a caller who waits for room makes open batches due, and hurries no retry', async () => {
    const { batcher, flushed } = bench({ maxPending: 3 });
    batcher.addItems(notes('a1 b1 b2'));
    await batcher.syncAddItem(note('c1'));
    expect(flushed).toEqual(expect.arrayContaining(['a:1 demand']));
    expect(batcher.state.pending).toBeLessThanOrEqual(3);
  });

  test("'reject' and 'dropNewest' turn the item away", async () => {
    const reject = gated({ maxPending: 1, overflow: 'reject' }).batcher;
    reject.on('refused', () => {});
    reject.addItem(note('a1'));
    await expect(reject.deliverItem(note('b1'))).rejects.toBeInstanceOf(OverflowError);
    const newest = gated({ maxPending: 1, overflow: 'dropNewest' }).batcher;
    const dropped: unknown[] = [];
    newest.on('dropped', ({ key, item, size }) => void dropped.push([key, item, size]));
    newest.addItem(note('a1'));
    newest.addItem(note('b1'));
    expect(dropped).toEqual([['b', note('b1'), 1]]);
    expect(newest.state.counts).toMatchObject({ totalItems: 2, dropped: 1 });
    expectBalanced(newest);
  });

  test("'dropOldest' drops the oldest batch that is not in flight, of whichever key", async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 2, maxPending: 4, overflow: 'dropOldest' });
    const dropped: string[] = [];
    batcher.on('dropped', ({ key, size, reason }) => void dropped.push(`${key} ${size} ${reason}`));
    batcher.addItems(notes('a1 a2 b1 c1'));
    expect(batcher.addItem(note('d1'))).toBe(true);
    expect(dropped).toEqual(['b 1 overflow']);
    sink.openAll();
    await batcher.close();
    const [first, ...others] = began();
    // Keys have no order among each other.
    expect([first, ...others.sort()]).toEqual(['a:1,2 size', 'c:1 close', 'd:1 close']);
    expectBalanced(batcher);
  });

  describe("'dropOldest' with callers that wait, since all batches were in flight", () => {
    function crowd() {
      const { batcher, sink, began } = gated({
        maxBatchSize: 1,
        maxPending: 2,
        flushConcurrency: 2,
        overflow: 'dropOldest',
        retry: { minDelay: 1000, jitter: false },
      });
      const dropped: string[] = [];
      for (const name of ['failed', 'refused'] as const) batcher.on(name, () => {});
      batcher.on(
        'dropped',
        ({ batch }) => void dropped.push(...(batch?.items ?? []).map(({ key, n }) => `${key}${n}`)),
      );
      batcher.addItems(notes('a1 b1'));
      return { batcher, sink, began, dropped };
    }

    test('a batch is dropped for the first of them once its attempt has failed', async () => {
      const { batcher, sink, began, dropped } = crowd();
      const [first, second] = [watch(batcher.deliverItem(note('c1'))), watch(batcher.deliverItem(note('d1')))];
      expect(dropped).toEqual([]);
      sink.fail(new Error('down'));
      await settled();
      expect(dropped).toEqual(['a1']);
      expect(began()).toEqual(['a:1 size', 'b:1 size', 'c:1 size']);
      sink.openAll();
      await settled();
      expect([first.state, second.state]).toEqual(['resolved', 'resolved']);
      expect(dropped).toEqual(['a1']);
      expectBalanced(batcher);
    });

    test('a later addItem drops nothing: room that it made would go to them', async () => {
      const { batcher, sink, dropped } = crowd();
      batcher.pause();
      const waiting = ['c1', 'd1', 'e1'].map((text) => watch(batcher.deliverItem(note(text))));
      sink.fail(new Error('down'));
      await settled();
      expect(dropped).toEqual(['a1']); // for c1, which waits for the end of the pause
      expect(batcher.addItem(note('f1'))).toBe(false);
      expect(dropped).toEqual(['a1']);
      batcher.resume();
      sink.openAll();
      await settled();
      expect(waiting.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved']);
      expectBalanced(batcher);
    });
  });

  test.each(['addItem', 'deliverItem'] as const)(
    "'dropOldest': a listener that adds again by %s what was dropped does not drop without end",
    async (verb) => {
      const { batcher, flushed } = bench({ maxPending: 1, overflow: 'dropOldest' });
      batcher.on('refused', () => {});
      let dropped = 0;
      batcher.on('dropped', ({ batch }) => {
        if (++dropped < 100) for (const item of batch?.items ?? []) void batcher[verb](item);
      });
      batcher.addItems(notes('a1 b1'));
      expect(dropped).toBe(1);
      await batcher.flush();
      await settled();
      expect(flushed).toEqual(verb === 'addItem' ? ['b:1 demand'] : ['b:1 demand', 'a:1 demand']);
      expectBalanced(batcher);
    },
  );

  test('closing refuses those who wait for room', async () => {
    const { batcher, sink } = gated({ maxBatchSize: 1, maxPending: 1 });
    batcher.on('refused', () => {});
    batcher.addItem(note('a1'));
    const waiting = batcher.deliverItem(note('b1'));
    sink.openAll();
    await batcher.close();
    await expect(waiting).rejects.toBeInstanceOf(ClosedError);
    expectBalanced(batcher);
  });

  test('an abort while waiting for room leaves the item out, and nothing behind', async () => {
    const { batcher, sink } = gated({ maxBatchSize: 1, maxPending: 1 });
    const controller = new AbortController();
    batcher.addItem(note('a1'));
    const all = Array.from({ length: 100 }, () => batcher.deliverItem(note('b1'), { signal: controller.signal }));
    controller.abort(new Error('gone'));
    for (const promise of all) await expect(promise).rejects.toThrow('gone');
    sink.openAll();
    await batcher.close();
    expect(batcher.state.counts).toMatchObject({ totalItems: 1, delivered: 1 });
  });
});

describe('how many keys are kept', () => {
  test('an idle key is given up after idleTimeout, by one timer that keeps no process', async () => {
    const { batcher, clock } = bench({ maxBatchSize: 1 });
    batcher.addItems(notes('a1 b1'));
    await clock.advance(30_000);
    batcher.addItem(note('b2'));
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(30_000);
    expect(batcher.state.keys).toEqual(['b']);
    await clock.advance(30_000);
    expect(batcher.state.keys).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    expect(batcher.state.counts).toMatchObject({ totalItems: 3, delivered: 3 });
  });

  test('a key with pending items is never given up', async () => {
    const { batcher, clock } = gated({ idleTimeout: 10 });
    batcher.addItem(note('a1'));
    await clock.advance(1000);
    expect(batcher.state.keys).toEqual(['a']);
  });

  test('maxKeys: the key that has been idle the longest makes room', () => {
    const { batcher } = bench({ maxBatchSize: 1, maxKeys: 2 });
    batcher.addItems(notes('a1 b1 a2 c1'));
    expect(batcher.state.keys).toEqual(['a', 'c']);
  });

  test('maxKeys: when all are busy a new key is an overflow', async () => {
    const { batcher, sink } = gated({ maxBatchSize: 2, maxKeys: 2 });
    batcher.on('refused', () => {});
    batcher.addItems(notes('a1 b1'));
    expect(batcher.addItem(note('c1'))).toBe(false);
    const waiting = watch(batcher.syncAddItem(note('c2')));
    expect(batcher.addItem(note('a2'))).toBe(true); // a known key needs none of that room
    sink.openAll();
    await settled();
    expect(waiting.state).toBe('resolved');
    await batcher.close();
    expectBalanced(batcher);
  });

  test("maxKeys with 'dropOldest': makes room for a new key", () => {
    const { batcher } = gated({ maxKeys: 1, overflow: 'dropOldest' });
    batcher.on('dropped', () => {});
    batcher.addItems(notes('a1 b1'));
    expect(batcher.state.keys).toEqual(['b']);
    expectBalanced(batcher);
  });

  test("maxKeys with 'dropOldest': nothing is dropped of a key whose batch in flight keeps it busy", async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1, maxKeys: 1, overflow: 'dropOldest' });
    batcher.on('refused', () => {});
    batcher.addItems(notes('a1 a2'));
    expect(batcher.addItem(note('b1'))).toBe(false);
    expect(batcher.state.counts).toMatchObject({ dropped: 0, refused: 1 });
    sink.openAll();
    await batcher.close();
    expect(began()).toEqual(['a:1 size', 'a:2 size']);
  });
});

describe('verbs', () => {
  test('flush({ key }) delivers one key; flush() all; an unknown key is done already', async () => {
    const { batcher, flushed } = bench();
    batcher.addItems(notes('a1 b1 c1'));
    await batcher.flush({ key: 'b' });
    await batcher.flush({ key: 'z' });
    expect(flushed).toEqual(['b:1 demand']);
    await batcher.flush();
    expect(flushed).toHaveLength(3);
  });

  test('flush rejects with FlushError when a batch of any key is held', async () => {
    const { batcher } = bench({
      retry: false,
      batchFlush: (_batch, { key }) => (key === 'b' ? Promise.reject(new Error('no')) : undefined),
    });
    batcher.on('held', () => {});
    batcher.addItems(notes('a1 b1'));
    await expect(batcher.flush()).rejects.toBeInstanceOf(FlushError);
    expect(batcher.state.batches).toMatchObject([{ key: 'b', status: 'held', size: 1 }]);
  });

  test('flush: timeout, aborts and wrong options as in a collector', async () => {
    const { batcher, clock } = gated();
    batcher.addItem(note('a1'));
    const flushed = watch(batcher.flush({ timeout: 10 }));
    await clock.advance(10);
    expect(flushed.error).toMatchObject({ name: 'TimeoutError' });
    await expect(batcher.flush({ signal: AbortSignal.abort(new Error('x')) })).rejects.toThrow('x');
    expect(() => batcher.flush({ tiemout: 1 } as never)).toThrow(OptionsError);
    expect(() => batcher.flush({ key: 'z', tiemout: 1 } as never)).toThrow(OptionsError);
  });

  test('clear({ key }) and clear() take back what is not in flight', async () => {
    const { batcher, sink } = gated({ maxBatchSize: 2, maxPending: 6 });
    batcher.addItems(notes('a1 a2 a3 b1 c1'));
    const waiting = watch(batcher.deliverItem(note('b2')));
    expect(batcher.clear({ key: 'b' })).toEqual([{ items: notes('b1 b2') }]);
    expect(batcher.clear()).toEqual([{ items: notes('a3') }, { items: notes('c1') }]);
    await settled();
    expect(waiting.error).toMatchObject({ name: 'ClearedError' });
    expect(batcher.state.pending).toBe(2);
    sink.openAll();
    await batcher.close();
    expect(batcher.state.counts).toMatchObject({ delivered: 2, returned: 4, totalItems: 6 });
  });

  test('pause: no attempt of any key starts, adds go on; resume', async () => {
    const { batcher, flushed, clock } = bench({ maxBatchSize: 2, maxTimeSinceFirstItem: 10 });
    batcher.addItem(note('a1'));
    batcher.pause();
    batcher.addItems(notes('a2 b1 c1 c2'));
    await clock.advance(100);
    expect(flushed).toEqual([]);
    expect(batcher.state.paused).toBe(true);
    batcher.resume();
    await settled();
    expect([...flushed].sort()).toEqual(['a:1,2 size', 'b:1 age', 'c:1,2 size']);
  });

  test('configure: triggers of every key, and the bounds; all or nothing', async () => {
    const { batcher, sink, began } = gated();
    batcher.addItems(notes('a1 a2 b1 b2'));
    expect(() => batcher.configure({ maxBatchSize: 2, maxKeys: 0 })).toThrow(OptionsError);
    expect(() => batcher.configure({ idleTimeout: 5, key: 1 } as never)).toThrow(OptionsError);
    expect(batcher.state.config.maxBatchSize).toBe(Infinity);
    batcher.configure({ maxBatchSize: 2, flushConcurrency: 2, maxPending: 4, overflow: 'reject' });
    await settled();
    expect(began()).toEqual(['a:1,2 size', 'b:1,2 size']);
    batcher.on('refused', () => {});
    expect(batcher.addItem(note('c1'))).toBe(false);
    sink.openAll();
    await settled();
    batcher.addItems(notes('c1 c2'));
    expect(began()[2]).toBe('c:1,2 size');
  });

  test('configure: more batches of one key at the same time, also of a key that has some', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1, flushConcurrency: 4 });
    batcher.addItems(notes('a1 a2 a3'));
    expect(began()).toEqual(['a:1 size']);
    batcher.configure({ keyConcurrency: 2 });
    await settled();
    expect(began()).toEqual(['a:1 size', 'a:2 size']);
    sink.openAll();
    await batcher.close();
    expectBalanced(batcher);
  });

  test('close delivers all keys through the lanes, and says what it could not deliver', async () => {
    const { batcher, clock } = bench({
      flushConcurrency: 1,
      batchFlush: (_batch, { key }) => (key === 'b' ? Promise.reject(new Error('down')) : undefined),
    });
    batcher.on('failed', () => {});
    const closed: unknown[] = [];
    batcher.on('closed', (event) => closed.push(event));
    batcher.addItems(notes('a1 b1 b2 c1'));
    const closing = watch(batcher.close({ timeout: 500 }));
    expect(batcher.close()).toBe(batcher.flush());
    await clock.advance(499);
    expect(batcher.state.counts.delivered).toBe(2);
    expect(closing.state).toBe('pending');
    await clock.advance(1);
    await clock.advance(1000);
    expect(closing.error).toBeInstanceOf(CloseError);
    expect(closing.error).toMatchObject({ undelivered: 2, batches: [{ items: notes('b1 b2') }] });
    expect(closed).toEqual([{ undelivered: 2 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('close: batches of one key overlap no more than before: a:1 and b:1, then a:2, then a:3', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1, flushConcurrency: 4 });
    batcher.addItems(notes('a1 a2 a3 b1'));
    const closed = batcher.close();
    await settled();
    expect(began()).toEqual(['a:1 size', 'b:1 size']);
    sink.open();
    await settled();
    expect(began().slice(2)).toEqual(['a:2 size']);
    sink.openAll();
    await closed;
    expect(began().slice(3)).toEqual(['a:3 size']);
  });

  test('close: a second batch of a key waits longer than flushTimeout for the lane: it is tried, and not given up', async () => {
    const options = { maxBatchSize: 1, flushConcurrency: 1, flushTimeout: 50, retry: false, giveUp: 'drop' } as const;
    const { batcher, sink, clock } = gated(options);
    batcher.addItems(notes('a1 b1 b2 c1 c2 d1 d2'));
    const closing = watch(batcher.close());
    for (let attempts = 0; attempts < 7; attempts++) {
      await clock.advance(30);
      sink.open();
      await settled();
    }
    await clock.advance(1000);
    expect(batcher.state.counts).toMatchObject({ delivered: 7, dropped: 0 });
    expect(closing.state).toBe('resolved');
  });

  test('close: a hung sink on the only lane: ends in time, and begins nothing at the end', async () => {
    const { batcher, began, clock } = gated({ maxBatchSize: 1 });
    batcher.addItems(notes('a1 b1'));
    const closing = watch(batcher.close({ timeout: 100 }));
    await clock.advance(100);
    await clock.advance(1000);
    expect(closing.error).toMatchObject({ undelivered: 2 });
    expect(began()).toEqual(['a:1 size']);
  });

  test('close({ flush: false }) waits only for what is in flight', async () => {
    const { batcher, sink, began } = gated({ maxBatchSize: 1 });
    batcher.on('closed', () => {});
    batcher.addItems(notes('a1 b1'));
    const closing = watch(batcher.close({ flush: false }));
    await settled();
    expect(closing.state).toBe('pending');
    sink.open();
    await settled();
    expect(closing.state).toBe('resolved');
    expect(began()).toEqual(['a:1 size']);
  });

  test('after close: adds are refused with ClosedError', async () => {
    const { batcher } = bench();
    batcher.on('refused', () => {});
    await batcher.close();
    expect(batcher.addItem(note('a1'))).toBe(false);
    await expect(batcher.deliverItem(note('a1'))).rejects.toBeInstanceOf(ClosedError);
  });

  test('state.of(key) is the state of that key', () => {
    const { batcher } = bench();
    batcher.addItems(notes('a1 a2 b1'));
    expect(batcher.state.of('a')?.pending).toBe(2);
    expect(batcher.state.of('z')).toBeUndefined();
    expect(batcher.state.counts).toMatchObject({ batchItems: 3, totalItems: 3 });
  });
});

describe('A12: the answer of a sink that came in time counts', () => {
  const prepared = { batchPreFlush: () => Promise.resolve() };

  test('close({ timeout: 0 }) right after it: delivered, and not left', async () => {
    const { batcher, flushed } = bench(prepared);
    const added = watch(batcher.deliverItem(note('a1')));
    void batcher.flush();
    await batcher.close({ timeout: 0 });
    await settled();
    expect(flushed).toEqual(['a:1 demand']);
    expect(added.state).toBe('resolved');
    expectBalanced(batcher);
  });

  test('a flushTimeout that is over by the time it is seen repeats nothing', async () => {
    const { clock, batcher, sink, began } = gated({ ...prepared, maxBatchSize: 1, flushTimeout: 50 });
    batcher.on('failed', () => {});
    clock.setTimer(() => {
      sink.open(); // in the same moment, and before it
    }, 50);
    batcher.addItem(note('a1'));
    await clock.advance(500);
    expect(began()).toEqual(['a:1 size']);
    await batcher.close();
  });
});

test('A1: a listener that adds to a new key while an idle key makes room for it: one collector has both items', async () => {
  let added: Watched | undefined;
  const { batcher, flushed } = bench({
    maxKeys: 1,
    batchPostFlush: (_batch, { key }) => {
      if (key === 'a') throw new Error('later');
    },
  });
  batcher.on('failed', ({ retryAt }) => {
    if (retryAt === Infinity) added = watch(batcher.deliverItem(note('b2'))); // its key makes room, and is closed
  });
  batcher.addItem(note('a1'));
  await batcher.flush();
  batcher.addItem(note('b1'));
  expectBalanced(batcher);
  await batcher.flush();
  expect(flushed).toEqual(['a:1 demand', 'b:2,1 demand']);
  expect(added).toMatchObject({ state: 'resolved' });
  await batcher.close();
});

describe('close({ flush: false })', () => {
  test('closed says how much is left, and batchTerminate is called for each batch and not for none', async () => {
    const terminated: unknown[] = [];
    const { batcher, sink } = gated({
      maxBatchSize: 1,
      batchTerminate: (batch, key) => void terminated.push([key, batch?.items.length]),
    });
    const closed = jest.fn();
    batcher.on('closed', closed);
    batcher.addItems(notes('a1 b1 c1'));
    const closing = watch(batcher.close({ flush: false }));
    sink.open();
    await settled();
    expect(closing.state).toBe('resolved');
    expect(terminated).toEqual([
      ['b', 1],
      ['c', 1],
    ]);
    expect(closed.mock.calls).toEqual([[{ undelivered: 2 }]]);
    expect(batcher.state).toMatchObject({ pending: 2, counts: { delivered: 1 } });
  });
});

describe('A4: functions that return a promise where none is allowed', () => {
  const late = (): never => Promise.reject(new Error('late')) as never;

  test.each([
    ['key', { key: late }],
    ['batcher', { batcher: late }],
    ['batcher', { batcher: (() => undefined) as never }],
  ])('%s: the item is refused, and nothing else happens', async (hook, options) => {
    const refused = jest.fn();
    const stray = await strayErrors(async () => {
      const { batcher } = bench(options);
      batcher.on('refused', refused);
      expect(batcher.addItem(note('a1'))).toBe(false);
      await expect(batcher.deliverItem(note('a2'))).rejects.toBeInstanceOf(ItemError);
      await batcher.close();
      expectBalanced(batcher);
    });
    expect(refused.mock.calls).toMatchObject([[{ error: { hook } }], [{ error: { hook } }]]);
    expect(stray).toEqual([]);
  });
});

describe('batcher: collectors of another kind', () => {
  const directory = mkdtempSync(join(tmpdir(), 'keyed-'));
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test('a FileBatcher per key, through the lanes of all keys', async () => {
    let [running, most] = [0, 0];
    const seen: string[] = [];
    const batcher = new KeyedBatcher({
      key: (item: { tenant: string; n: number }) => item.tenant,
      maxBatchSize: 2,
      flushConcurrency: 2,
      async batchFlush(batch: FileBatch<{ tenant: string; n: number }>, { key }) {
        most = Math.max(most, ++running);
        for await (const { n } of batch.items()) seen.push(`${key}${n}`);
        running--;
      },
      batcher: (key, options) => new FileBatcher({ ...options, batchDirectory: join(directory, key) }),
    });
    const items = Array.from({ length: 12 }, (_, n) => ({ tenant: 'abcd'[n % 4] ?? '', n }));
    for (const item of items) await batcher.syncAddItem(item);
    await batcher.close();
    expect([...seen].sort()).toEqual(items.map(({ tenant, n }) => tenant + String(n)).sort());
    expect(most).toBe(2);
    expectBalanced(batcher);
  });

  test('a factory that ignores the options, with a sink of its own', async () => {
    const seen: string[] = [];
    const batcher = new KeyedBatcher<string, string>({
      key: (item) => item.slice(0, 1),
      batcher: (key) =>
        new MemoryBatcher<string>({ maxBatchSize: 1, batchFlush: ({ items }) => void seen.push(key + items.join()) }),
    });
    batcher.addItems(['a1', 'b1', 'a2']);
    await batcher.close();
    expect(seen.sort()).toEqual(['aa1', 'aa2', 'bb1']);
  });

  test('a factory that throws refuses the item', () => {
    const errors: unknown[] = [];
    const batcher = new KeyedBatcher<string, string>({
      key: (item) => item,
      batcher: () => {
        throw new Error('no');
      },
    });
    expect(batcher.addItem('a', { onError: (error) => errors.push(error) })).toBe(false);
    expect(errors[0]).toBeInstanceOf(ItemError);
    expectBalanced(batcher);
  });
});

describe('options', () => {
  test.each([
    { maxKeys: 0 },
    { idleTimeout: -1 },
    { keyConcurrency: 1.5 },
    { key: 5 },
    { batcher: 5 },
    { maxBatchSise: 1 },
    { flushConcurrency: 0 },
  ])('%j throws OptionsError, naming KeyedBatcher', (options) => {
    expect(() => new KeyedBatcher(options as never)).toThrow(OptionsError);
    expect(() => new KeyedBatcher(options as never)).toThrow(/KeyedBatcher/);
  });

  test('a required hook that is missing is named at the first add', () => {
    expect(() => new KeyedBatcher<number, number>({ batchFlush: () => {} }).addItem(1)).toThrow(MissingHookError);
    expect(() => new KeyedBatcher<number, number>({ key: (n) => n }).addItem(1)).toThrow(/batchFlush/);
  });

  test('options are read once, through a prototype as well', () => {
    const { batcher, flushed } = bench(Object.create({ maxBatchSize: 1 }) as object);
    batcher.addItem(note('a1'));
    expect(flushed).toEqual([]); // bench spreads them
    const direct = new KeyedBatcher<number, number>(
      Object.assign(Object.create({ maxBatchSize: 1 }) as object, { key: (n: number) => n, batchFlush: () => {} }),
    );
    direct.addItem(1);
    expect(direct.state.pending).toBe(0);
  });

  test('a failure without a listener is a warning, once for all keys', async () => {
    const seen = warnings();
    const { batcher } = bench({ maxBatchSize: 1, retry: false, batchFlush: () => Promise.reject(new Error('down')) });
    batcher.addItems(notes('a1 b1 c1'));
    await settled();
    expect(seen.filter((text) => text.includes('down'))).toHaveLength(1);
    expect(seen[0]).toContain('KeyedBatcher');
  });
});
