import { random } from 'batch-please/testing';
import { Deque } from '../../src/core/deque.js';

test('first in, first out; peek looks without taking', () => {
  const queue = new Deque<number>();
  expect([queue.length, queue.peek(), queue.shift()]).toEqual([0, undefined, undefined]);
  for (const item of [1, 2, 3]) queue.push(item);
  expect([queue.peek(), queue.length]).toEqual([1, 3]);
  expect([queue.shift(), queue.shift(), queue.length]).toEqual([1, 2, 1]);
  queue.push(4);
  expect([...queue]).toEqual([3, 4]);
  expect([queue.shift(), queue.shift(), queue.shift(), queue.length]).toEqual([3, 4, undefined, 0]);
});

test('undefined is an item like any other', () => {
  const queue = new Deque<undefined>();
  queue.push(undefined);
  queue.push(undefined);
  expect(queue.length).toBe(2);
  queue.shift();
  expect(queue.length).toBe(1);
  queue.shift();
  queue.shift();
  expect(queue.length).toBe(0);
});

test('behaves as an array does: 100,000 random steps', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const rng = random(seed);
    const queue = new Deque<number>();
    const model: number[] = [];
    for (let step = 0; step < 20_000; step++) {
      const growing = Math.floor(step / 5000) % 2 === 0;
      if (rng.chance(growing ? 0.7 : 0.3)) {
        queue.push(step);
        model.push(step);
      } else if (rng.chance(0.02)) {
        expect(queue.take(7)).toEqual(model.splice(0, 7));
      } else if (queue.shift() !== model.shift()) throw new Error(`seed ${seed}, step ${step}: another item`);
      if (queue.length !== model.length || queue.peek() !== model[0]) throw new Error(`seed ${seed}, step ${step}`);
    }
    expect([...queue]).toEqual(model);
  }
});

test('a million in, a million out, in linear time', () => {
  const queue = new Deque<number>();
  for (let item = 0; item < 1_000_000; item++) queue.push(item);
  let sum = 0;
  while (queue.length > 0) sum += queue.shift() ?? NaN;
  expect(sum).toBe((1_000_000 * 999_999) / 2);
});
