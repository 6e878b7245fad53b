import { simulateServer } from './simulate.js';

/** Seeds that once showed a bug: callers who waited for room were let in while a stop gave up the batch that ran. */
const known = [4317, 5179];
const runs = 2500;

describe('a server whose hooks crash, hang and dawdle, against a naive model', () => {
  const rejections: unknown[] = [];
  const note = (error: unknown): number => rejections.push(error);
  beforeAll(() => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    process.on('unhandledRejection', note);
  });
  afterAll(() => {
    process.off('unhandledRejection', note);
    jest.restoreAllMocks();
  });

  test(`A1, A2, A4, A7: ${runs} seeds: order, state, sizes, counts; no promise is left unsettled`, async () => {
    const failures: string[] = [];
    let [batches, promises] = [0, 0];
    for (const seed of [...known, ...Array.from({ length: runs }, (_, i) => i + 1)]) {
      const outcome = await simulateServer(seed);
      batches += outcome.batches;
      promises += outcome.promises;
      if (outcome.violations.length > 0) {
        failures.push(`npx tsx test/sim/server/run.ts ${seed} 1: ${outcome.violations[0] ?? ''}`);
      }
    }
    expect(failures).toEqual([]);
    expect(rejections).toEqual([]);
    expect(batches).toBeGreaterThan(10 * runs);
    expect(promises).toBeGreaterThan(20 * runs);
  }, 600_000);
});
