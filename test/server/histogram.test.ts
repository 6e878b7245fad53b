import { random } from 'batch-please/testing';
import { Histogram } from '../../src/server/histogram.js';

describe('Histogram', () => {
  test('is exact for small whole numbers, and 0 when empty', () => {
    const tally = new Histogram(1);
    expect([tally.count, tally.mean, tally.quantile(0.5)]).toEqual([0, 0, 0]);
    for (let value = 0; value < 60; value++) tally.record(value);
    expect([tally.min, tally.max, tally.mean]).toEqual([0, 59, 29.5]);
    expect([0.01, 0.5, 0.95, 1].map((q) => tally.quantile(q))).toEqual([0, 29, 56, 59]);
  });

  test.each([1, 0.001])('quantiles are within 2 % over ten powers of ten, in units of %p', (unit) => {
    const rng = random(7);
    const values = Array.from({ length: 20_000 }, () => unit * 10 ** (rng.next() * 9));
    const tally = new Histogram(unit);
    for (const value of values) tally.record(value);
    values.sort((a, b) => a - b);
    for (const q of [0.3, 0.5, 0.9, 0.95, 0.99, 1]) {
      const exact = values[Math.ceil(q * values.length) - 1] ?? NaN;
      expect(Math.abs(tally.quantile(q) / exact - 1)).toBeLessThan(0.02);
    }
  });

  test('a value above its range counts as the largest', () => {
    const tally = new Histogram(1);
    tally.record(1e15);
    expect([tally.max, tally.quantile(0.5) > 4e9]).toEqual([1e15, true]);
  });
});
