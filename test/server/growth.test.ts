import type { BatchOutcome, BatchServerOptions } from 'batch-please';
import { random, type Random } from 'batch-please/testing';
import { aimd, exponential, fixed, latency, type Growth } from '../../src/server/growth.js';
import { testServer, turns } from '../support/servers.js';

afterEach(() => jest.restoreAllMocks());

/** The batch sizes that so many queued casts give. */
async function trace(casts: number, options: BatchServerOptions = {}): Promise<number[]> {
  const { server } = await testServer({}, options);
  for (let i = 0; i < casts; i++) server.cast(1);
  await turns();
  return server.sizes;
}

describe('batch sizes of queued casts', () => {
  test('10,000 = 32+64+…+4096 + the rest', async () => {
    expect(await trace(10_000)).toEqual([32, 64, 128, 256, 512, 1024, 2048, 4096, 1840]);
  });

  test('up to 8192 at most', async () => {
    const sizes = await trace(40_000);
    expect(sizes).toEqual([32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 8192, 8192, 7264]);
  });

  test('aimd 32 within 32…256', async () => {
    const options = { batchSizeGrowth: { aimd: 32 }, minBatchSize: 32, maxBatchSize: 256 };
    expect(await trace(1500, options)).toEqual([32, 64, 96, 128, 160, 192, 224, 256, 256, 92]);
  });

  test('fixed, and a function', async () => {
    expect(await trace(250, { batchSizeGrowth: 'fixed', maxBatchSize: 100 })).toEqual([100, 100, 50]);
    expect(await trace(20, { batchSizeGrowth: (limit) => limit + 1, minBatchSize: 1 })).toEqual([1, 2, 3, 4, 5, 5]);
  });

  test('a function gets the outcome of the batch; it stays within the bounds, and a wrong one changes nothing', async () => {
    const told: string[] = [];
    jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void told.push(String(warning)));
    const outcomes: [number, BatchOutcome][] = [];
    const answers = [7, 1000, NaN, 0];
    const batchSizeGrowth = (limit: number, outcome: BatchOutcome): number => {
      outcomes.push([limit, outcome]);
      const next = answers.shift();
      if (next === undefined) throw new Error('no more');
      return next;
    };
    const sizes = await trace(100, { batchSizeGrowth, minBatchSize: 5, maxBatchSize: 20 });
    expect(sizes).toEqual([5, 7, 20, 20, 5, 5, 5, 5, 5, 5, 5, 5, 5, 3]);
    expect(outcomes[0]).toEqual([5, { size: 5, full: true, duration: 0, min: 5, max: 20 }]);
    expect(outcomes.at(-1)).toEqual([5, { size: 3, full: false, duration: 0, min: 5, max: 20 }]);
    expect(told).toEqual([
      'TestServer: batchSizeGrowth returned no number',
      'TestServer: batchSizeGrowth threw: no more',
    ]);
  });

  test('a castBatch counts its length, and may overshoot the limit: 100-element ones', async () => {
    const { server } = await testServer();
    for (let i = 0; i < 24; i++) server.castBatch(Array.from({ length: 100 }, () => i));
    await turns();
    expect(server.sizes).toEqual([100, 100, 200, 300, 600, 1100]);
    expect(server.messages).toEqual([...server.messages].sort((a, b) => Number(a) - Number(b)));
  });

  test('one castBatch of 20,000 is one batch', async () => {
    const { server } = await testServer();
    server.castBatch(Array.from({ length: 20_000 }, () => 1));
    await turns();
    expect(server.sizes).toEqual([20_000]);
  });

  test('hardLimit splits it', async () => {
    const { server } = await testServer({}, { hardLimit: true, maxBatchSize: 64 });
    server.castBatch(Array.from({ length: 200 }, (_, i) => i));
    await turns();
    expect(server.sizes).toEqual([32, 64, 64, 40]);
    expect(server.messages).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('an empty mailbox halves', async () => {
    const { server } = await testServer();
    const limits: number[] = [];
    for (let i = 0; i < 480; i++) server.cast(1); // 32+64+128+256: full four times
    for (let i = 0; i < 6; i++) {
      await turns();
      limits.push(server.sys.statistics().limit);
      server.cast(1);
    }
    expect(limits).toEqual([512, 256, 128, 64, 32, 32]);
  });

  test('full is tested before empty: a batch that is exactly full, with an empty mailbox, still grows', async () => {
    const { server } = await testServer();
    for (let i = 0; i < 32; i++) server.cast(1);
    await turns();
    expect(server.sys.statistics().limit).toBe(64);
  });

  test('odd limits are rounded down', async () => {
    const { server } = await testServer({}, { minBatchSize: 1, maxBatchSize: 9 });
    server.castBatch(Array.from({ length: 9 }, () => 1));
    server.hooks.handleBatch = () => undefined;
    const limits: number[] = [];
    for (let i = 0; i < 16; i++) server.cast(1);
    for (let i = 0; i < 4; i++) {
      await turns();
      limits.push(server.sys.statistics().limit);
      server.cast(1);
    }
    expect(server.sizes.slice(0, 5)).toEqual([9, 2, 4, 8, 2]);
    expect(limits).toEqual([4, 2, 1, 2]); // 9 after a full one, 4 after two; a batch of one fills a limit of one
  });

  test('introspection changes nothing', async () => {
    const { server } = await testServer();
    for (let i = 0; i < 480; i++) server.cast(1);
    await turns();
    for (let i = 0; i < 5; i++) {
      server.sys.getState();
      server.sys.getStatus();
      server.sys.statistics();
      server.sys.trace(() => undefined)();
      await server.sys.replaceState((state) => state);
      await server.sys.suspend();
      server.sys.resume();
      server.castBatch([]);
      await turns();
    }
    expect(server.sys.statistics().limit).toBe(512);
  });
});

describe('growth, pure', () => {
  const outcome = (full: boolean, size = 10): BatchOutcome => ({ size, full, duration: 1, min: 1, max: 100 });

  test('exponential, aimd, fixed', () => {
    expect([exponential(5, outcome(true)), exponential(5, outcome(false))]).toEqual([10, 2]);
    expect([aimd(3)(5, outcome(true)), aimd(3)(5, outcome(false))]).toEqual([8, 2]);
    expect(fixed(5, outcome(true))).toBe(100);
  });
});

describe('latency (Clipper, NSDI 2017, section 4.3)', () => {
  /** Runs so many full batches; what each took decides the next limit. */
  function run(growth: Growth, batches: number, cost: (size: number, batch: number) => number): [number, number][] {
    const max = 8192;
    const history: [number, number][] = [];
    let limit = 32;
    for (let batch = 0; batch < batches; batch++) {
      const size = Math.floor(limit);
      const duration = cost(size, batch);
      history.push([size, duration]);
      limit = Math.min(max, Math.max(1, growth(limit, { size, full: true, duration, min: 1, max })));
    }
    return history;
  }
  const between = (history: [number, number][], from: number, to: number): number[] =>
    history.slice(from, to).map(([size]) => size);
  const quantile = (values: number[], q: number): number =>
    [...values].sort((a, b) => a - b)[Math.floor(q * values.length)] ?? NaN;

  test.each([
    { fixedCost: 2, perMessage: 0.004, right: 2000 },
    { fixedCost: 2, perMessage: 0.04, right: 200 },
    { fixedCost: 0, perMessage: 0.01, right: 1000 },
    { fixedCost: 5, perMessage: 0.005, right: 1000 },
    { fixedCost: 1, perMessage: 1, right: 9 },
  ])('settles within 50 batches at the size that takes 10 ms: $fixedCost ms + $perMessage ms a message', (handler) => {
    const history = run(latency(10), 300, (size) => handler.fixedCost + size * handler.perMessage);
    const durations = history.slice(50).map(([, duration]) => duration);
    expect(Math.min(...durations)).toBeGreaterThan(8);
    expect(Math.max(...durations)).toBeLessThan(11.1);
    expect(quantile(durations, 0.9)).toBeLessThanOrEqual(10.2);
    expect(Math.abs(quantile(between(history, 250, 300), 0.5) - handler.right)).toBeLessThan(handler.right * 0.15);
  });

  test.each([
    { fixedCost: 9, perMessage: 0.01, right: 100 },
    { fixedCost: 9, perMessage: 0.001, right: 1000 },
    { fixedCost: 9, perMessage: 0.0002, right: 5000 },
    { fixedCost: 9.5, perMessage: 0.0005, right: 1000 },
  ])('settles within 50 batches where $fixedCost of 10 ms are fixed, at $right messages', (handler) => {
    const history = run(latency(10), 300, (size) => handler.fixedCost + size * handler.perMessage);
    for (const size of between(history, 50, 300)) expect(Math.abs(size / handler.right - 1)).toBeLessThan(0.2);
  });

  test.each([
    { before: [2, 0.004], after: [2, 0.04], right: 200 },
    { before: [2, 0.04], after: [2, 0.004], right: 2000 },
    { before: [9, 0.01], after: [9, 0.001], right: 1000 },
    { before: [9, 0.001], after: [9, 0.01], right: 100 },
    { before: [2, 0.004], after: [9, 0.001], right: 1000 },
    { before: [9, 0.001], after: [2, 0.004], right: 2000 },
  ] as const)(
    'settles again within 50 batches, at $right, when the cost goes from $before to $after ms (fixed, a message)',
    ({ before, after, right }) => {
      const history = run(latency(10), 200, (size, batch) => {
        const [fixedCost, perMessage] = batch < 100 ? before : after;
        return fixedCost + size * perMessage;
      });
      for (const size of between(history, 150, 200)) {
        expect(size).toBeGreaterThan(right * 0.8);
        expect(size).toBeLessThanOrEqual(right * 1.1);
      }
    },
  );

  test('the sizes of a start: doubled while the target is far, then half of the way there each time', () => {
    const sizes = (cost: (size: number) => number): number[] => between(run(latency(10), 12, cost), 0, 12);
    expect(sizes((size) => 2 + size * 0.004)).toEqual([
      32, 64, 128, 256, 512, 1024, 1512, 1756, 1877, 1939, 1969, 1984,
    ]);
    expect(sizes((size) => 9 + size * 0.001)).toEqual([32, 33, 34, 69, 138, 277, 537, 664, 726, 767, 797, 820]);
  });

  test.each([0.02, 0.05, 0.1, 0.2])('the 95th percentile is at the target when durations scatter by %p', (scatter) => {
    const rng: Random = random(3);
    const normal = (): number => Array.from({ length: 12 }, () => rng.next()).reduce((a, b) => a + b) - 6;
    const history = run(latency(10), 5000, (size) => (2 + size * 0.004) * Math.max(0.1, 1 + scatter * normal()));
    const p95 = quantile(
      history.slice(50).map(([, duration]) => duration),
      0.95,
    );
    expect(p95).toBeGreaterThan(9);
    expect(p95).toBeLessThan(10.5);
  });

  test('a batch that was not full changes nothing, unless even it took too long', () => {
    const growth = latency(10);
    const half = (duration: number): number => growth(100, { size: 40, full: false, duration, min: 1, max: 1000 });
    expect(half(5)).toBe(100);
    expect(half(20)).toBe(36);
  });

  test('in a server, on its clock', async () => {
    const { server, clock } = await testServer({}, { batchSizeGrowth: { latency: 10 } });
    server.hooks.handleBatch = (ops) =>
      new Promise((resolve) => {
        clock.setTimer(
          () => {
            resolve(undefined);
          },
          2 + ops.length * 0.04,
        );
      });
    for (let i = 0; i < 12_000; i++) server.cast(1);
    await clock.advance(2000);
    const settled = server.sizes.slice(50, -1);
    expect(settled.length).toBeGreaterThan(5);
    for (const size of settled) expect(Math.abs(size - 190)).toBeLessThan(30);
  });
});
