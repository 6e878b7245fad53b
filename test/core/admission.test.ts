import { onAbort } from '../../src/core/promise.js';
import { Room } from '../../src/core/admission.js';

/** A room of five, and what happened in it. */
function roomOfFive(): {
  room: Room;
  log: string[];
  pending: { count: number };
  wait: (name: string, size?: number) => Promise<void>;
} {
  const log: string[] = [];
  const pending = { count: 0 };
  const room = new Room(
    5,
    () => pending.count,
    () => log.push('demand'),
  );
  const wait = (name: string, size = 1): Promise<void> =>
    room.wait(
      () => {
        log.push(name);
        pending.count += size;
        return Promise.resolve();
      },
      () => new Error(`${name} turned away`),
      undefined,
      size,
    );
  return { room, log, pending, wait };
}

test('those who wait come in in the order of their arrival, as many as fit: 3+2 of 5, then 1', async () => {
  const { room, log, pending, wait } = roomOfFive();
  pending.count = 5;
  const all = [wait('a', 3), wait('b', 2), wait('c')];
  pending.count = 0;
  room.admit();
  expect(log).toEqual(['demand', 'demand', 'demand', 'a', 'b', 'demand']);
  expect(room.crowded).toBe(true);
  pending.count = 4;
  room.admit();
  await Promise.all(all);
  expect([log.at(-1), room.crowded, pending.count]).toEqual(['c', false, 5]);
});

test('no overtaking: a small one waits behind one that does not fit', () => {
  const { room, log, pending, wait } = roomOfFive();
  pending.count = 5;
  void wait('large', 4);
  void wait('small', 1);
  pending.count = 3;
  room.admit();
  expect(log).toEqual(['demand', 'demand']);
});

test('what could never fit is let in alone, once nothing is pending', () => {
  const { room, log, pending, wait } = roomOfFive();
  pending.count = 1;
  void wait('huge', 9);
  room.admit();
  expect(log).toEqual(['demand']);
  pending.count = 0;
  room.admit();
  expect(log).toEqual(['demand', 'huge']);
});

test('an abort leaves the one who waits out, and lets in those behind', async () => {
  const { room, log, pending, wait } = roomOfFive();
  const aborting = new AbortController();
  pending.count = 5;
  const first = room.wait(
    () => Promise.resolve(),
    () => new Error('turned away'),
    (leave) => onAbort(aborting.signal, () => leave(aborting.signal.reason)),
    5,
  );
  void wait('behind', 1);
  pending.count = 4;
  aborting.abort(new Error('no longer wanted'));
  await expect(first).rejects.toThrow('no longer wanted');
  expect(log.at(-1)).toBe('behind');
  expect(room.crowded).toBe(false);
});

test('who is let in may make room for the next: one loop, however many there are', async () => {
  const entered: number[] = [];
  let pending = 1;
  const room = new Room(
    1,
    () => pending,
    () => undefined,
  );
  const all = Array.from({ length: 50_000 }, (_, i) =>
    room.wait(
      () => {
        entered.push(i);
        room.admit(); // as an entry does that is delivered at once
        return Promise.resolve();
      },
      () => new Error('turned away'),
    ),
  );
  pending = 0;
  room.admit();
  await Promise.all(all);
  expect(entered).toEqual(Array.from({ length: 50_000 }, (_, i) => i));
});

test('closed, it rejects every waiting caller', async () => {
  const { room, pending, wait } = roomOfFive();
  pending.count = 5;
  const all = Promise.allSettled([wait('a'), wait('b')]);
  expect([...room.close()]).toHaveLength(2);
  expect((await all).map((one) => (one as PromiseRejectedResult).reason as Error)).toEqual([
    new Error('a turned away'),
    new Error('b turned away'),
  ]);
  expect(room.crowded).toBe(false);
});
