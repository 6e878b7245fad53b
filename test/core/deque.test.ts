import { random } from 'batch-please/testing';
import { Fifo } from '../../src/core/deque.js';

test('first in, first out; peek looks without taking', () => {
  const fifo = new Fifo<number>();
  expect([fifo.length, fifo.peek(), fifo.shift()]).toEqual([0, undefined, undefined]);
  for (const item of [1, 2, 3]) fifo.push(item);
  expect([fifo.peek(), fifo.length]).toEqual([1, 3]);
  expect([fifo.shift(), fifo.shift(), fifo.length]).toEqual([1, 2, 1]);
  fifo.push(4);
  expect([...fifo]).toEqual([3, 4]);
  expect([fifo.shift(), fifo.shift(), fifo.shift(), fifo.length]).toEqual([3, 4, undefined, 0]);
});

test('undefined is an item like any other', () => {
  const fifo = new Fifo<undefined>();
  fifo.push(undefined);
  fifo.push(undefined);
  expect(fifo.length).toBe(2);
  fifo.shift();
  expect(fifo.length).toBe(1);
  fifo.shift();
  fifo.shift();
  expect(fifo.length).toBe(0);
});

test('remove takes the first that matches out of the middle, and nothing that has been taken already', () => {
  const fifo = new Fifo<string>();
  for (const item of ['a', 'b', 'a', 'c']) fifo.push(item);
  fifo.shift();
  expect(fifo.remove('x')).toBe(false);
  expect(fifo.remove('a')).toBe(true);
  expect([...fifo]).toEqual(['b', 'c']);
  expect(fifo.remove('a')).toBe(false);
  expect([fifo.remove('c'), fifo.remove('b'), fifo.length, fifo.peek()]).toEqual([true, true, 0, undefined]);
  fifo.push('d');
  expect([fifo.length, fifo.shift()]).toEqual([1, 'd']);
});

test('behaves as an array does: 100,000 random steps', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const rng = random(seed);
    const fifo = new Fifo<number>();
    let model: number[] = [];
    for (let step = 0; step < 20_000; step++) {
      const growing = Math.floor(step / 5000) % 2 === 0;
      if (rng.chance(growing ? 0.7 : 0.3)) {
        fifo.push(step);
        model.push(step);
      } else if (rng.chance(0.02) && model.length > 0) {
        const item = rng.pick(model);
        expect(fifo.remove(item)).toBe(true);
        model = model.filter((each) => each !== item);
      } else if (fifo.shift() !== model.shift()) throw new Error(`seed ${seed}, step ${step}: another item`);
      if (fifo.length !== model.length || fifo.peek() !== model[0]) throw new Error(`seed ${seed}, step ${step}`);
    }
    expect([...fifo]).toEqual(model);
  }
});

test('a million in, a million out, in linear time', () => {
  const fifo = new Fifo<number>();
  for (let item = 0; item < 1_000_000; item++) fifo.push(item);
  let sum = 0;
  while (fifo.length > 0) sum += fifo.shift() ?? NaN;
  expect(sum).toBe((1_000_000 * 999_999) / 2);
});
